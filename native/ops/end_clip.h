// The result of the operation clip.
#pragma once
#include <algorithm>
#include <cmath>

#include "base/on_device.h"
#include "ops/arguments.h"

namespace lowrank {

// Of PyTorch's GradScaler (Micikevicius et al., 2018).
constexpr double kLossScaleGrowth = 2, kLossScaleBackoff = 0.5;

// The end of the operation clip, from the sum of the gradients' squares.
LOWRANK_ON_DEVICE inline void end_clip(const ClipArgs& a, double squares) {
  StepState& s = *a.state;
  const double scale = s.loss_scale * a.grad_factor;
  s.loss = s.window_loss / a.tokens;
  s.window_loss = 0;
  s.norm = std::sqrt(squares) / scale;
  s.applies = std::isfinite(s.norm);
  // As torch.nn.utils.clip_grad_norm_.
  const bool clips = a.max_norm > 0 && std::isfinite(a.max_norm);
  s.grad_scale = float((clips ? std::min(1.0, double(a.max_norm) / (s.norm + 1e-6)) : 1.0) / scale);
  s.learning_rate = a.learning_rates[std::clamp<int64_t>(s.skipped - a.skipped_before, 0, a.rates - 1)];
  s.steps++;
  s.applies ? s.applied++ : s.skipped++;
  if (std::isfinite(s.loss)) {
    s.interval_losses += s.loss;
    s.total_losses += s.loss;
    s.interval_steps++;
    s.total_steps++;
  }
  if (s.bad_step == 0 && !(s.applies && std::isfinite(s.loss))) {
    s.bad_step = s.steps;
    s.bad_loss = s.loss;
    s.bad_norm = s.norm;
  }
  if (a.growth_steps == 0) return;
  if (!s.applies) {
    s.loss_scale *= kLossScaleBackoff;
    s.good_steps = 0;
  } else if (++s.good_steps >= a.growth_steps) {
    s.good_steps = 0;
    // Beyond the numbers of f32 it stays.
    if (std::isfinite(float(s.loss_scale * kLossScaleGrowth))) s.loss_scale *= kLossScaleGrowth;
  }
}

}  // namespace lowrank
