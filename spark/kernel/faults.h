/* faults.h: exceptions on demand */
#ifndef SPARK_FAULTS_H
#define SPARK_FAULTS_H

int fault_cause(const char *name); /* comes back, with 0, only if there is none of that name */
void fault_list(void);

#endif
