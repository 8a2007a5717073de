// The results that training steps leave with the backend until somebody reads them, so that no step waits for a
// number.
#pragma once
#include <cstdint>

namespace lowrank {

struct StepState {
  double window_loss = 0;  // sum of the token losses of the accumulation window in progress
  double loss = 0;         // of the last step: mean over the window's learned tokens
  double norm = 0;         // of the last step's gradients, before clipping
  // Sums of the steps' losses, as far as they are numbers, and of how many steps; the first since they were last cleared.
  double interval_losses = 0, total_losses = 0;
  int64_t interval_steps = 0, total_steps = 0;
  int64_t steps = 0, applied = 0, skipped = 0;  // a step whose gradients are not finite is skipped
  double loss_scale = 1;                   // the gradients' factor
  int64_t good_steps = 0;                  // since it changed, all applied
  int64_t bad_step = 0;                    // `steps` of the first with a loss or norm that is no number; 0: none
  double bad_loss = 0, bad_norm = 0;       // of that step
  // Of the step in progress, for AdamW:
  float grad_scale = 0, learning_rate = 0;
  bool applies = false;
};

}  // namespace lowrank
