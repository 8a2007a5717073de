// The instructions of tensor_core.h by the layouts that PTX documents. A copy's bytes come when it is waited for, as late as they may.
#include "cuda/tensor_core.h"

#include <cstring>
#include <map>
#include <vector>

#include "base/dtype.h"

namespace lowrank::cuda {

namespace {

struct Copy {
  void* to;
  const void* from;  // null: zeros
};
struct Copies {
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};
// Of each thread of the block in progress.
std::map<unsigned, Copies> copies;

float low(Bf16Pair p) { return bf16_to_f32(bf16_t(p)); }
float high(Bf16Pair p) { return bf16_to_f32(bf16_t(p >> 16)); }

struct Rows {
  const void* row;
  uint32_t found[4];
};
template <bool kTransposed>
void load(uint32_t (&to)[4], const void* row) {
  static const char operation = 0;
  Rows own{row, {}};
  emulation::collective(kWholeWarp, &operation, &own, [](void** lanes) {
    for (unsigned l = 0; l < 32; l++) {
      for (unsigned m = 0; m < 4; m++) {
        uint16_t pair[2];
        for (unsigned i = 0; i < 2; i++) {
          const unsigned from = kTransposed ? l % 4 * 2 + i : l / 4, column = kTransposed ? l / 4 : l % 4 * 2 + i;
          const char* const at = static_cast<const char*>(static_cast<Rows*>(lanes[m * 8 + from])->row) + column * 2;
          if (emulation::watcher) emulation::watcher->access(threadIdx.x / 32 * 32 + l, at, 2, false, false);
          std::memcpy(&pair[i], at, 2);
        }
        static_cast<Rows*>(lanes[l])->found[m] = pair[0] | uint32_t(pair[1]) << 16;
      }
    }
  });
  std::memcpy(to, own.found, sizeof own.found);
}

struct Fragments {
  float* c;
  const Bf16Pair* a;
  Bf16Pair b[2];
};

}  // namespace

void copy_async(void* to, const void* from, bool there) {
  if ((reinterpret_cast<uintptr_t>(to) | (there ? reinterpret_cast<uintptr_t>(from) : 0)) % 16 != 0) emulation::fail("a copy that is not aligned to 16 bytes");
  copies[threadIdx.x].open.push_back({to, there ? from : nullptr});
}
void copies_committed() {
  Copies& own = copies[threadIdx.x];
  own.groups.push_back(std::move(own.open));
  own.open.clear();
}
void wait_for_at_most(int groups) {
  Copies& own = copies[threadIdx.x];
  while (int(own.groups.size()) > groups) {
    for (const Copy& c : own.groups.front()) {
      if (emulation::watcher) {
        emulation::watcher->access(threadIdx.x, c.to, 16, true, false);
        if (c.from) emulation::watcher->access(threadIdx.x, c.from, 16, false, false);
      }
      if (c.from) std::memcpy(c.to, c.from, 16);
      else std::memset(c.to, 0, 16);
    }
    own.groups.erase(own.groups.begin());
  }
}

void load_matrices(uint32_t (&to)[4], const void* row) { load<false>(to, row); }
void load_matrices_transposed(uint32_t (&to)[4], const void* row) { load<true>(to, row); }

void multiply_add(float (&c)[4], const Bf16Pair (&a)[4], Bf16Pair b0, Bf16Pair b1) {
  static const char operation = 0;
  Fragments own{c, a, {b0, b1}};
  emulation::collective(kWholeWarp, &operation, &own, [](void** lanes) {
    float a_of[16][16], b_of[16][8];
    for (unsigned l = 0; l < 32; l++) {
      const auto& f = *static_cast<Fragments*>(lanes[l]);
      const unsigned row = l / 4, column = l % 4 * 2;
      for (unsigned part = 0; part < 4; part++) {
        float* const at = &a_of[row + part % 2 * 8][column + part / 2 * 8];
        at[0] = low(f.a[part]);
        at[1] = high(f.a[part]);
      }
      for (unsigned part = 0; part < 2; part++) {
        b_of[column + part * 8][row] = low(f.b[part]);
        b_of[column + part * 8 + 1][row] = high(f.b[part]);
      }
    }
    for (unsigned l = 0; l < 32; l++) {
      float* const to = static_cast<Fragments*>(lanes[l])->c;
      for (unsigned i = 0; i < 4; i++) {
        const unsigned row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
        float sum = to[i];
        for (unsigned k = 0; k < 16; k++) sum += a_of[row][k] * b_of[k][column];
        to[i] = sum;
      }
    }
  });
}

Bf16Pair pair_of(float first, float second) { return f32_to_bf16(first) | Bf16Pair(f32_to_bf16(second)) << 16; }

}  // namespace lowrank::cuda
