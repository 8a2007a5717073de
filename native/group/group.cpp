#include "group/group.h"

#include <algorithm>
#include <cstring>

namespace lowrank {

namespace {
// A message's size: large enough for any link's bandwidth, small enough for a processor's cache. It bounds the memory of a sum.
constexpr int64_t kPieceFloats = 1 << 20, kPieceBytes = 1 << 22;
}  // namespace

void Group::sum(float* values, int64_t n) {
  const int64_t ranks = size();
  if (ranks == 1) return;
  for (int64_t at = 0; at < n; at += kPieceFloats) {
    const int64_t piece = std::min(kPieceFloats, n - at), chunk = (piece + ranks - 1) / ranks;
    // Each rank adds up a part of the piece.
    std::vector<int> counts, bytes;
    for (int64_t r = 0; r < ranks; r++) {
      counts.push_back(int(std::clamp<int64_t>(piece - r * chunk, 0, chunk)));
      bytes.push_back(counts.back() * int(sizeof(float)));
    }
    const int64_t own = counts[size_t(rank())];
    received_.resize(size_t(own * ranks));
    exchange(values + at, counts, received_.data());
    float* const sums = values + at + std::min(rank() * chunk, piece);
    std::copy_n(received_.data(), own, sums);
    for (int64_t r = 1; r < ranks; r++) {
      const float* const part = received_.data() + r * own;
      for (int64_t i = 0; i < own; i++) sums[i] += part[i];
    }
    gather(Channel::sums, sums, bytes, values + at);
  }
}

void Group::sum(double* values, int64_t n) {
  if (size() == 1) return;
  const std::string bytes(reinterpret_cast<const char*>(values), size_t(n) * sizeof(double));
  const std::vector<std::string> all = gather(bytes);
  std::vector<double> one(static_cast<size_t>(n));
  for (int r = 0; r < size(); r++) {
    std::memcpy(one.data(), all[size_t(r)].data(), std::min(bytes.size(), all[size_t(r)].size()));
    for (int64_t i = 0; i < n; i++) values[i] = (r == 0 ? 0 : values[i]) + one[size_t(i)];
  }
}

std::vector<std::string> Group::gather(const std::string& mine) {
  if (size() == 1) return {mine};
  const Waiting waiting(*this);
  const auto ranks = size_t(size());
  std::vector<int> counts(ranks);
  const int count = int(mine.size());
  gather(Channel::calls, &count, std::vector<int>(ranks, int(sizeof count)), counts.data());
  std::vector<std::string> all;
  std::string together;
  size_t total = 0;
  for (const int c : counts) total += size_t(c);
  together.resize(total);
  gather(Channel::calls, mine.data(), counts, together.data());
  size_t at = 0;
  for (const int c : counts) {
    all.push_back(together.substr(at, size_t(c)));
    at += size_t(c);
  }
  return all;
}

void Group::share(void* data, int64_t bytes) {
  if (size() == 1) return;
  const Waiting waiting(*this);
  for (int64_t at = 0; at < bytes; at += kPieceBytes) broadcast(static_cast<char*>(data) + at, int(std::min(kPieceBytes, bytes - at)));
}

}  // namespace lowrank
