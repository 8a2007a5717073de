// Shapes of products with cuBLASLt's algorithm for each: what is chosen once holds for a run, and for runs that go on from its checkpoints. Texts make
// the rows of a product, and any number of them may come. An algorithm is chosen for a few numbers of rows (rows_of_choice()), and holds for those
// below: which one a product takes follows from its shape alone, and a run chooses none after its start.
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
  // The algorithm is the choice for the shape's rows, rounded up. Where cuBLASLt's check says that it does not fit these rows, it is a choice for the
  // shape itself.
  const Plan& of(const Product&);
  const Plan& of(const CodeProduct&);
  // The choices for all products of this shape with as many rows of `a` or fewer.
  void choose(const Product&);
  void choose(const CodeProduct&);

  // At most a half more rows than there are; multiples of 16.
  static int64_t rows_of_choice(int64_t rows);

  // Card, version and algorithms as text; and the notes of such a text. Returns why they cannot be taken, or nothing.
  std::string text() const;
  std::string take(const std::string& text);

 private:
  using Shape = std::array<int64_t, 19>;
  struct Operand {
    const void* data;
    cudaDataType_t type;
    int64_t rows, cols, ld, bytes;  // bytes: of an element
    int64_t step = 0;               // between matrices of several products
  };
  struct Call {
    Operand a, b, c;
    bool transposes_a, transposes_b, accumulates;
    bool has_any_rows = true;
    int64_t count = 1;
    bool is_of_codes() const { return c.type == CUDA_R_32I; }
  };
  static Operand operand(const Mat&, int64_t step);
  static int64_t alignment(const Operand&);
  static Shape shape_of(const Call&);
  static Call call(const Product&);
  static Call call(const CodeProduct&);
  static Call with_rows(Call, int64_t rows);
  static Call as_chosen(const Call&);  // the one whose choice it takes
  const Plan& of(const Call&);
  void choose(const Call&);
  std::string header() const;
  Plan described(const Call&) const;
  bool fits(const Plan&, const cublasLtMatmulAlgo_t&) const;
  // The noted algorithm of the shape, else the first that cuBLASLt's heuristic names: the same one in every run on a card and version.
  const cublasLtMatmulAlgo_t& choice(const Call&);
  cublasLtMatmulAlgo_t named_first(const Call&, const Plan&) const;
  void destroy(const Plan&) const;

  const CublasLt& lt_;
  cublasLtHandle_t handle_;
  std::string gpu_;
  int64_t workspace_;
  std::map<Shape, Plan> plans_;
  std::map<Shape, cublasLtMatmulAlgo_t> choices_, noted_;
};

}  // namespace lowrank::cuda
