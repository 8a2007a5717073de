// Factors that an adapter begins with which are made of the base's weight: PiSSA (Meng et al., 2024) and OLoRA (Büyükakyüz, 2024).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/stored_weight.h"

namespace lowrank {

struct InitialFactors {
  std::vector<float> a, b;  // (R, I), (O, R)
};

// "pissa", "pissa_niter_N" or "olora", as PEFT's init_lora_weights names them.
bool is_initial_factors_method(const std::string&);

// The most memory that the factors of a weight (O, I) take while they are made, beside themselves.
int64_t initial_factors_bytes(const std::string& method, int64_t out, int64_t in, int64_t rank);

// scale * B A is W's R largest singular values (pissa), or B the first R columns of Q and A the first R rows of R of W = Q R (olora).
// pissa_niter_N finds the singular values by N steps of subspace iteration (Halko et al., 2011) from random vectors.
// The weight lies in memory of the host. The rank is at most the smaller side of W.
InitialFactors initial_factors(const StoredWeight&, const std::string& method, int64_t rank, float scale, uint64_t seed, uint64_t site);

}  // namespace lowrank
