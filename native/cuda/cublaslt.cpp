#include "cuda/cublaslt.h"

#include "cuda/nvidia_library.h"

namespace lowrank::cuda {

namespace {

CublasLt opened() {
  const NvidiaLibrary library = {.what = "cuBLASLt of CUDA 13 or 12",
                                 .package = "nvidia-cublas",
                                 .variable = "LOWRANK_CUBLASLT_PATH",
                                 .names = {"libcublasLt.so.13", "libcublasLt.so.12"},
                                 .in_wheels = {"cu13/lib", "cublas/lib"}};
  CublasLt all{};
  open_nvidia_library(library, [&](void* l) {
    return find(l, "cublasLtCreate", all.create) && find(l, "cublasLtDestroy", all.destroy) && find(l, "cublasLtGetVersion", all.version) &&
           find(l, "cublasLtGetStatusString", all.status) && find(l, "cublasLtMatmul", all.matmul) && find(l, "cublasLtMatmulAlgoGetHeuristic", all.heuristic) &&
           find(l, "cublasLtMatmulAlgoCheck", all.check) && find(l, "cublasLtMatmulDescCreate", all.desc_create) && find(l, "cublasLtMatmulDescDestroy", all.desc_destroy) &&
           find(l, "cublasLtMatmulDescSetAttribute", all.desc_set) && find(l, "cublasLtMatrixLayoutCreate", all.layout_create) &&
           find(l, "cublasLtMatrixLayoutDestroy", all.layout_destroy) && find(l, "cublasLtMatrixLayoutSetAttribute", all.layout_set) && find(l, "cublasLtMatmulPreferenceCreate", all.preference_create) &&
           find(l, "cublasLtMatmulPreferenceDestroy", all.preference_destroy) && find(l, "cublasLtMatmulPreferenceSetAttribute", all.preference_set);
  });
  return all;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt all = opened();
  return all;
}

}  // namespace lowrank::cuda
