// Marks inline functions that a device's compiler compiles for the device, too. Elsewhere it is empty.
#pragma once

#ifdef __CUDACC__
#define LOWRANK_ON_DEVICE __host__ __device__
#else
#define LOWRANK_ON_DEVICE
#endif
