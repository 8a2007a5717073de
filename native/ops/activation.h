// The functions of an MLP.
#pragma once
#include <cstdint>

namespace lowrank {

enum class Activation : uint8_t {
  silu,       // x / (1 + exp(-x))
  gelu,       // x Phi(x), Phi the normal distribution (Hendrycks & Gimpel, 2016)
  gelu_tanh,  // x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
  relu,       // max(x, 0)
};

}  // namespace lowrank
