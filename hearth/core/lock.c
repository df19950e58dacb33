#include "core/lock.h"

pthread_mutex_t machine_mutex = PTHREAD_MUTEX_INITIALIZER;
