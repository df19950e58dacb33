/* selftest.h: are the functions in assembly what they promise to be? */
#ifndef SPARK_SELFTEST_H
#define SPARK_SELFTEST_H

void selftest_run(void);

#endif
