/* type.h: the integers of the 80386 */
#ifndef SPARK_TYPE_H
#define SPARK_TYPE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#endif
