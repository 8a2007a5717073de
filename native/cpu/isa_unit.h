// For the per-instruction-set units only. Each is compiled for its set, and (tests) a second time in plain C++ with
// LOWRANK_EMULATE=1. All of it lives in a namespace named after the set and the build: inline code shared by units
// that are compiled for different sets would break the one-definition rule.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/rng.h"
#include "cpu/instruction_sets.h"
#include "cpu/kernels.h"
#include "cpu/row_kernels.h"
#include "quant/blocks.h"

#ifndef LOWRANK_EMULATE
#define LOWRANK_EMULATE 0
#endif

// LOWRANK_UNIT: the namespace of a unit. LOWRANK_TABLE: what it offers the others, as instruction_sets.h and int8_kernels.h declare it.
// LOWRANK_SET: an instruction set's value; int8: the products of codes that every machine with the set has, emulated_int8: that tests have.
#if LOWRANK_EMULATE
#define LOWRANK_UNIT(name) emulated_##name
#define LOWRANK_TABLE(name) emulated::name
#define LOWRANK_SET(unit, int8, emulated_int8) {#unit " (emulated)", &emulated_##unit::kKernels, &emulated_##unit::kRows, &emulated::emulated_int8}
#else
#define LOWRANK_UNIT(name) name
#define LOWRANK_TABLE(name) name
#define LOWRANK_SET(unit, int8, emulated_int8) {#unit, &unit::kKernels, &unit::kRows, &int8}
#include <immintrin.h>
#endif

// The namespace holds vectors as template arguments and return values; they never cross a unit's border.
#pragma GCC diagnostic ignored "-Wignored-attributes"
#pragma GCC diagnostic ignored "-Wpsabi"
// gcc 12's own intrinsics headers start from deliberately uninitialised registers.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
