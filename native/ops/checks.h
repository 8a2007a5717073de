// Whether the arguments of an operation fit together and, where a backend has a workspace, into its limits: a bug of the caller, error E_INTERNAL.
#pragma once
#include "ops/arguments.h"

namespace lowrank {

// limits: null where the backend has none
#define LOWRANK_OP(operation, Args) void check_##operation(const Args&, const OpLimits* limits);
#include "ops/operations.inc"

}  // namespace lowrank
