#include "train/profile.h"

#include <algorithm>

#include "base/arena.h"

namespace lowrank {

std::vector<ProfileEvent> Profile::take() {
  std::vector<ProfileEvent> events;
  events.swap(events_);
  return events;
}

void Profile::end(const char* operation, double flop) {
  if (events_.size() >= kMostEvents) return;
  const std::chrono::duration<double> before = begin_ - start_, took = Clock::now() - begin_;
  const std::string name = operation;
  const bool of_module = name.starts_with("linear_");
  events_.push_back({of_module ? name + " " + module_ : name, before.count(), took.count(), flop});
}

double matmul_peak(Backend& backend, DType act, const OpLimits& limits, char* scratch, int64_t scratch_bytes) {
  // A device is at its best with larger products.
  const int64_t most = dynamic_cast<HostBackend*>(&backend) ? 1024 : 8192;
  // Ends this many seconds after the last better speed. A processor that wakes up, or that others use at the moment, is not at its
  // best.
  constexpr double kWait = 0.05, kLongest = 0.5;
  const int64_t rows = std::min(most, limits.tokens), n = std::min(most, limits.features);
  const int64_t rows_bytes = Arena::aligned(rows * n * dtype_bytes(act)), weight_bytes = Arena::aligned(n * n * dtype_bytes(act)), bytes = 2 * rows_bytes + weight_bytes;
  Memory own;
  if (scratch_bytes < bytes) own = backend.allocate(bytes);
  char *const x = own.bytes > 0 ? static_cast<char*>(own.data.get()) : scratch, *const w = x + rows_bytes, *const y = w + weight_bytes;
  // Not zeros: the clock of a processor depends on how many bits the multipliers switch.
  std::vector<char> random(size_t(rows_bytes + weight_bytes));
  uint32_t state = 1;
  for (int64_t i = 0; i < int64_t(random.size()) / dtype_bytes(act); i++) {
    state = state * 1664525 + 1013904223;
    store_f32(random.data(), act, i, float(int32_t(state)) * 0x1p-31f);
  }
  backend.upload(random.data(), int64_t(random.size()), x);
  double best = 0, now = 0, found = 0;
  for (const auto start = std::chrono::steady_clock::now(); now < std::min(found + kWait, kLongest);) {
    const double begin = now;
    backend.linear_fwd({.x = Mat(x, act, rows, n),
                        .w = {.data = w, .format = format_of(act), .rows = n, .cols = n},
                        .u = {},
                        .y = Mat(y, act, rows, n)});
    backend.download(y, dtype_bytes(act), random.data());  // waits
    now = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double speed = 2.0 * double(rows * n * n) / (now - begin);
    if (speed <= best) continue;
    best = speed;
    found = now;
  }
  return best;
}

}  // namespace lowrank
