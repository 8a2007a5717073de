// Instructions of tensor cores and asynchronous copies: one function an instruction, and each one's twin in the emulation.
#pragma once
#include "cuda/compat.h"

namespace lowrank::cuda {

using Bf16Pair = uint32_t;  // two bf16, the first in the lower half

#ifdef __CUDACC__

__device__ __forceinline__ uint32_t shared_address(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }

// 16 bytes from global to shared memory, zeros where not `there`. Both are aligned to 16 bytes.
__device__ __forceinline__ void copy_async(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void copies_committed() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// Waits until at most `kLeft` groups of this thread's copies are on their way.
template <int kLeft>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kLeft) : "memory");
}
// Four matrices of 8 x 8 b16; lane i names row i % 8 of matrix i / 8. Lane l has columns 2 (l % 4) and the next of row l / 4, transposed: of column
// l / 4 these rows.
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
// c += a b: (16, 8) f32, (16, 16) bf16 by rows, (16, 8) bf16 by columns, spread over the lanes as PTX's m16n8k16 has them.
__device__ __forceinline__ void multiply_add(float (&c)[4], const Bf16Pair (&a)[4], Bf16Pair b0, Bf16Pair b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ Bf16Pair pair_of(float first, float second) {
  Bf16Pair p;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(p) : "f"(second), "f"(first));
  return p;
}

#else

void copy_async(void* to, const void* from, bool there);
void copies_committed();
void wait_for_at_most(int groups);
template <int kLeft>
void wait_for_copies() {
  wait_for_at_most(kLeft);
}
void load_matrices(uint32_t (&to)[4], const void* row);
void load_matrices_transposed(uint32_t (&to)[4], const void* row);
void multiply_add(float (&c)[4], const Bf16Pair (&a)[4], Bf16Pair b0, Bf16Pair b1);
Bf16Pair pair_of(float first, float second);

#endif

}  // namespace lowrank::cuda
