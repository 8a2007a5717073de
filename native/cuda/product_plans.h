// Shapes of products with cuBLASLt's algorithm for each: what is chosen once holds for a run, and for runs that go on from its checkpoints.
#pragma once
#include <array>
#include <map>
#include <string>

#include "cuda/cublaslt.h"
#include "cuda/device.h"

namespace lowrank::cuda {

void expect_lt(cublasStatus_t, const char* what);  // Error E_DEVICE

class ProductPlans {
 public:
  // gpu: name and other facts of the card on which the algorithms were chosen. workspace: bytes that they may use.
  ProductPlans(const CublasLt&, cublasLtHandle_t, std::string gpu, int64_t workspace);
  ~ProductPlans();
  ProductPlans(const ProductPlans&) = delete;
  ProductPlans& operator=(const ProductPlans&) = delete;

  // A row-major matrix is a transposed one by columns: c^T = op(b)^T op(a)^T, so b comes first.
  struct Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t b = nullptr, a = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm = {};
  };
  // The algorithm is the noted one of the shape, else the first that cuBLASLt's heuristic names: the same one in every run on a card and version.
  const Plan& of(const Product&);
  const Plan& of(const CodeProduct&);

  // Card, version and algorithms as text; and the notes of such a text. Returns why they cannot be taken, or nothing.
  std::string text() const;
  std::string take(const std::string& text);

 private:
  using Shape = std::array<int64_t, 15>;
  struct Operand {
    const void* data;
    cudaDataType_t type;
    int64_t rows, cols, ld, bytes;  // bytes: of an element
  };
  struct Call {
    Operand a, b, c;
    bool transposes_a, transposes_b, accumulates;
    bool is_of_codes() const { return c.type == CUDA_R_32I; }
  };
  static Operand operand(const Mat&);
  static int64_t alignment(const Operand&);
  static Shape shape_of(const Call&);
  const Plan& of(const Call&);
  std::string header() const;
  bool takes_noted(const Shape&, Plan&) const;
  void choose(const Call&, Plan&) const;
  void destroy(const Plan&) const;

  const CublasLt& lt_;
  cublasLtHandle_t handle_;
  std::string gpu_;
  int64_t workspace_;
  std::map<Shape, Plan> plans_;
  std::map<Shape, cublasLtMatmulAlgo_t> noted_;
};

}  // namespace lowrank::cuda
