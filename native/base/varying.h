// What differs between passes of one shape. Operations of a device read it where it lies, with the backend: so a pass that was enqueued once can be
// enqueued again as it is.
#pragma once
#include <cstdint>

namespace lowrank {

struct Varying {
  uint64_t rng_stream = 0;             // number of the micro-batch; random numbers depend on it and on the adapter's seed
  // Of the micro-batch before the first: tokens, and those of them that the head or a classifier reads.
  uint64_t tokens = 0, read = 0;
  double loss_scale = 1;               // factor of the gradients
  float noise = 0;                     // NoiseArgs' size
};

}  // namespace lowrank
