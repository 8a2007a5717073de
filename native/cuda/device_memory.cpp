#include "cuda/device_memory.h"

#include <algorithm>

#include "cuda/workspace.h"

namespace lowrank::cuda {

namespace {

constexpr int64_t kMiB = int64_t(1) << 20;
// Of each thread that can be resident: 132 multiprocessors of 2,048 threads with a stack of 1 KiB; and what else a context has.
constexpr int64_t kContext = 132 * 2048 * int64_t(1024) + 128 * kMiB;
constexpr int64_t kKernels = 64 * kMiB;  // this plugin's, and those of cuBLASLt that products take
constexpr int64_t kPage = 2 * kMiB;
constexpr int64_t kAttentionForward = 4, kAttentionBackward = 9;  // copies and zeros, where it is computed through products
constexpr int64_t kBlockForward = 12, kBlockBackward = 20, kEnds = 48;  // norms, rotation, attention, gates, sums; embedding and head

}  // namespace

int64_t recorded_nodes(const OpLimits& l, const PassSize& size, const Switches& switches) {
  const Workspace work(l, switches);
  const auto parts_of = [](int64_t n, int64_t at_a_time) { return at_a_time > 0 ? (n + at_a_time - 1) / at_a_time : 1; };
  const int64_t parts = parts_of(l.tokens, work.rows);
  // A weight that is decoded in parts, of the head and of a linear, whose one side is about the model's: a part is decoded and multiplied, and its sums end.
  const int64_t head = 6 * parts_of(l.tokens, work.logit_rows) * (parts_of(l.decoded, work.decoded) - 1);
  const int64_t further = parts_of(std::min(l.decoded, l.features * l.model_dim), work.decoded) - 1;
  const int64_t cast = l.act != DType::f32, dropout = l.dropout, decoded = l.decoded > 0, rounds = l.rounds_activations, bordered = switches.bordered;
  // Bordered, copies of u and B come for B in 16 bits, and of a block's four inputs. A product with few outputs is two kernels where its sum is shared among blocks: those with columns
  // of a head, too.
  const int64_t forward = 4 + 3 * cast + dropout + decoded + 6 * rounds + (2 - cast) * bordered + 6 * further;
  const int64_t inputs = 4 * bordered * parts * (size.blocks + size.again_blocks);
  const int64_t backward = 8 + 3 * cast + 2 * dropout + decoded + 3 * further;
  const AttentionParts attention(l);
  const int64_t times = attention.queries > 0 ? (l.kv_heads + attention.groups - 1) / attention.groups : 0, chunks = times > 0 ? attention.chunks(size.tokens) : 0;
  const int64_t attention_forward = times * (kAttentionForward + 4 * chunks), attention_backward = times * (kAttentionBackward + 9 * chunks);
  return parts * (size.linears * (forward + backward) + size.again_linears * forward + kEnds) + head + inputs + size.blocks * (kBlockForward + attention_forward + kBlockBackward + attention_backward) +
         size.again_blocks * (kBlockForward + attention_forward + 2);
}

std::vector<MemoryItem> device_items(const OpLimits& l, const PassSize& size, const Switches& switches) {
  const auto item = [](const char* name, int64_t bytes) { return MemoryItem{name, bytes, MemoryPlace::device}; };
  std::vector<MemoryItem> items = {item("context", kContext), item("kernels", kKernels), item("cuBLASLt workspace", kProductWorkspace)};
  if (!l.training) return items;
  const int64_t nodes = recorded_nodes(l, size, switches);
  items.push_back(item("CUDA graphs", std::max(nodes, std::min(kMostRecordings * nodes, kMostNodes)) * kNodeBytes));
  return items;
}

// Small allocations share a page.
int64_t allocation_rest(int64_t bytes) { return bytes < kPage / 2 ? 0 : (kPage - bytes % kPage) % kPage; }

}  // namespace lowrank::cuda
