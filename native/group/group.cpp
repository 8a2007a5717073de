#include "group/group.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace lowrank {

namespace {
// A message's size: large enough for any link's bandwidth, small enough for a processor's cache. It bounds the memory of a sum.
constexpr int64_t kPieceFloats = 1 << 20, kPieceBytes = 1 << 22;
}  // namespace

void Group::rest(Channel channel, std::chrono::steady_clock::time_point begin) const {
  using std::chrono::microseconds;
  if (gives_up_) throw Error("E_GROUP", "This rank has given up waiting for the others.", "group");
  const auto so_far = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - begin);
  const bool computes = channel == Channel::sums && !hurries_;
  if (!computes && so_far < microseconds(1000)) std::this_thread::yield();
  else std::this_thread::sleep_for(std::clamp(so_far / 8, microseconds(50), microseconds(computes ? 1000 : 100)));
}

std::chrono::steady_clock::duration Group::waits(Channel channel, std::chrono::steady_clock::time_point begin) const {
  const bool computes = channel == Channel::sums && !hurries_;
  return computes ? std::chrono::steady_clock::duration::zero() : std::chrono::steady_clock::now() - begin;
}

int64_t Group::piece() const { return kPieceFloats; }

float* Group::received(int64_t n) {
  received_.resize(size_t(n));
  return received_.data();
}

void Group::add(const float* parts, int64_t n, float* sums) {
  std::copy_n(parts, n, sums);
  for (int r = 1; r < size(); r++) {
    const float* const part = parts + r * n;
    for (int64_t i = 0; i < n; i++) sums[i] += part[i];
  }
}

void Group::gather_sums(const std::vector<int>& counts, float* all) {
  std::vector<int> bytes;
  int64_t before = 0;
  for (int r = 0; r < size(); r++) {
    if (r < rank()) before += counts[size_t(r)];
    bytes.push_back(counts[size_t(r)] * int(sizeof(float)));
  }
  gather(Channel::sums, all + before, bytes, all);
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
