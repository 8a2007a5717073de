#include "cuda/product_plans.h"

#include <cstring>
#include <sstream>

#include "base/error.h"

namespace lowrank::cuda {

namespace {

constexpr const char* kTitle = "lowrank: algorithms of products, 4";
constexpr size_t kMostNoted = 4096;

cudaDataType_t type_of(DType t) { return t == DType::f32 ? CUDA_R_32F : t == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F; }

std::string hex(const cublasLtMatmulAlgo_t& algorithm) {
  std::ostringstream out;
  for (const uint64_t word : algorithm.data) out << ' ' << std::hex << word;
  return out.str();
}

}  // namespace

void expect_lt(cublasStatus_t s, const char* what) {
  if (s != CUBLAS_STATUS_SUCCESS) throw Error("E_DEVICE", std::string("cuBLASLt failed in ") + what + ": " + cublaslt().status(s) + ".", "device");
}

ProductPlans::ProductPlans(const CublasLt& lt, cublasLtHandle_t handle, std::string gpu, int64_t workspace)
    : lt_(lt), handle_(handle), gpu_(std::move(gpu)), workspace_(workspace) {}

ProductPlans::~ProductPlans() {
  for (const auto& [shape, plan] : plans_) destroy(plan);
}

void ProductPlans::destroy(const Plan& plan) const {
  lt_.desc_destroy(plan.operation);
  for (cublasLtMatrixLayout_t layout : {plan.b, plan.a, plan.c}) lt_.layout_destroy(layout);
}

ProductPlans::Operand ProductPlans::operand(const Mat& m, int64_t step) { return {m.data, type_of(m.dtype), m.rows, m.cols, m.ld, dtype_bytes(m.dtype), step}; }

// Bytes, at most 16, that the matrices' rows begin at multiples of.
int64_t ProductPlans::alignment(const Operand& m) {
  const auto at = reinterpret_cast<uintptr_t>(m.data) | uintptr_t(m.ld * m.bytes) | uintptr_t(m.step * m.bytes);
  return int64_t(at & -at) < 16 ? int64_t(at & -at) : 16;
}

ProductPlans::Shape ProductPlans::shape_of(const Call& p) {
  return {p.a.rows, p.a.cols, p.a.ld, p.b.rows, p.b.cols, p.b.ld, p.c.ld, int64_t(p.a.type), int64_t(p.c.type), p.transposes_a, p.transposes_b,
          p.accumulates, alignment(p.a), alignment(p.b), alignment(p.c), p.count, p.a.step, p.b.step, p.c.step};
}

ProductPlans::Call ProductPlans::call(const Product& p) {
  return {operand(p.a, p.a_step), operand(p.b, p.b_step), operand(p.c, p.c_step), p.transposes_a, p.transposes_b, p.accumulates, p.has_any_rows, p.count};
}
ProductPlans::Call ProductPlans::call(const CodeProduct& p) {
  return {{p.a, CUDA_R_8I, p.m, p.k, p.k, 1}, {p.b, CUDA_R_8I, p.n, p.k, p.k, 1}, {p.c, CUDA_R_32I, p.m, p.n, p.n, 4}, false, true, false};
}

// Rows of `a` are tokens: c's rows, or what is summed over. No leading dimension depends on them.
ProductPlans::Call ProductPlans::with_rows(Call p, int64_t rows) {
  p.a.rows = rows;
  if (!p.transposes_a) p.c.rows = rows;
  else if (p.transposes_b) p.b.cols = rows;
  else p.b.rows = rows;
  return p;
}

ProductPlans::Call ProductPlans::as_chosen(const Call& p) { return p.has_any_rows ? with_rows(p, rows_of_choice(p.a.rows)) : p; }

int64_t ProductPlans::rows_of_choice(int64_t rows) {
  int64_t n = 16;
  while (n < rows) n = n + n / 2 >= rows && n > 16 ? n + n / 2 : 2 * n;
  return n;
}

const ProductPlans::Plan& ProductPlans::of(const Product& p) { return of(call(p)); }
const ProductPlans::Plan& ProductPlans::of(const CodeProduct& p) { return of(call(p)); }
void ProductPlans::choose(const Product& p) { choose(call(p)); }
void ProductPlans::choose(const CodeProduct& p) { choose(call(p)); }

void ProductPlans::choose(const Call& p) {
  if (!p.has_any_rows) {
    choice(p);
    return;
  }
  for (int64_t rows = 1; rows <= rows_of_choice(p.a.rows); rows = rows_of_choice(rows) + 1) choice(with_rows(p, rows_of_choice(rows)));
}

const ProductPlans::Plan& ProductPlans::of(const Call& p) {
  const Shape shape = shape_of(p);
  const auto found = plans_.find(shape);
  if (found != plans_.end()) return found->second;
  Plan plan = described(p);
  plan.algorithm = choice(as_chosen(p));
  if (!fits(plan, plan.algorithm)) plan.algorithm = choice(p);
  return plans_.emplace(shape, plan).first->second;
}

ProductPlans::Plan ProductPlans::described(const Call& p) const {
  Plan plan;
  expect_lt(p.is_of_codes() ? lt_.desc_create(&plan.operation, CUBLAS_COMPUTE_32I, CUDA_R_32I) : lt_.desc_create(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            "cublasLtMatmulDescCreate");
  const cublasOperation_t first = p.transposes_b ? CUBLAS_OP_T : CUBLAS_OP_N, second = p.transposes_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  expect_lt(lt_.desc_set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "TRANSA");
  expect_lt(lt_.desc_set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second), "TRANSB");
  const auto layout = [&](cublasLtMatrixLayout_t& to, const Operand& m) {
    expect_lt(lt_.layout_create(&to, m.type, uint64_t(m.cols), uint64_t(m.rows), m.ld), "cublasLtMatrixLayoutCreate");
    if (p.count == 1) return;
    const int32_t count = int32_t(p.count);
    expect_lt(lt_.layout_set(to, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "BATCH_COUNT");
    expect_lt(lt_.layout_set(to, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.step, sizeof m.step), "STRIDED_BATCH_OFFSET");
  };
  layout(plan.b, p.b);
  layout(plan.a, p.a);
  layout(plan.c, p.c);
  return plan;
}

bool ProductPlans::fits(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t result;
  const cublasStatus_t status = lt_.check(handle_, plan.operation, plan.b, plan.a, plan.c, plan.c, &algorithm, &result);
  return status == CUBLAS_STATUS_SUCCESS && int64_t(result.workspaceSize) <= workspace_;
}

const cublasLtMatmulAlgo_t& ProductPlans::choice(const Call& p) {
  const Shape shape = shape_of(p);
  const auto found = choices_.find(shape);
  if (found != choices_.end()) return found->second;
  const Plan plan = described(p);
  const auto noted = noted_.find(shape);
  const bool takes_noted = noted != noted_.end() && fits(plan, noted->second);
  const cublasLtMatmulAlgo_t algorithm = takes_noted ? noted->second : named_first(p, plan);
  destroy(plan);
  return choices_.emplace(shape, algorithm).first->second;
}

cublasLtMatmulAlgo_t ProductPlans::named_first(const Call& p, const Plan& plan) const {
  cublasLtMatmulPreference_t preference = nullptr;
  expect_lt(lt_.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) { expect_lt(lt_.preference_set(preference, attribute, &value, sizeof value), "a preference"); };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, size_t(workspace_));
  // Partial sums that are added in place are added in the order of arrival: other bits in every run.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_MASK & ~uint32_t(CUBLASLT_REDUCTION_SCHEME_INPLACE)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(alignment(p.b)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(alignment(p.a)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t(alignment(p.c)));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t(alignment(p.c)));
  cublasLtMatmulHeuristicResult_t result;
  int results = 0;
  const cublasStatus_t status = lt_.heuristic(handle_, plan.operation, plan.b, plan.a, plan.c, plan.c, preference, 1, &result, &results);
  lt_.preference_destroy(preference);
  expect_lt(status, "cublasLtMatmulAlgoGetHeuristic");
  if (results == 0) {
    throw Error("E_DEVICE", "cuBLASLt has no algorithm for a product of " + std::to_string(p.c.rows) + " x " + std::to_string(p.c.cols) + " x " + std::to_string(p.transposes_a ? p.a.rows : p.a.cols) + ".", "device");
  }
  return result.algo;
}

std::string ProductPlans::header() const { return "cuBLASLt " + std::to_string(lt_.version()) + " on " + gpu_; }

std::string ProductPlans::text() const {
  std::ostringstream out;
  out << kTitle << '\n' << header() << '\n';
  std::map<Shape, cublasLtMatmulAlgo_t> all = noted_;
  for (const auto& [shape, algorithm] : choices_) all.insert_or_assign(shape, algorithm);
  size_t count = 0;
  for (const auto& [shape, algorithm] : all) {
    if (count++ == kMostNoted) break;
    for (const int64_t number : shape) out << number << ' ';
    out << '|' << hex(algorithm) << '\n';
  }
  return out.str();
}

std::string ProductPlans::take(const std::string& text) {
  std::istringstream in(text);
  std::string line;
  if (!std::getline(in, line) || line != kTitle) return "they are not in a form that this version reads";
  if (!std::getline(in, line)) return "their text is cut short";
  if (line != header()) return "they are of " + line + ", this is " + header();
  std::map<Shape, cublasLtMatmulAlgo_t> all;
  while (std::getline(in, line)) {
    std::istringstream numbers(line);
    Shape shape;
    cublasLtMatmulAlgo_t algorithm = {};
    std::string bar;
    for (int64_t& number : shape) numbers >> number;
    numbers >> bar >> std::hex;
    for (uint64_t& word : algorithm.data) numbers >> word;
    if (!numbers || bar != "|") return "the line \"" + line.substr(0, 80) + "\" is damaged";
    all.emplace(shape, algorithm);
  }
  noted_ = std::move(all);
  choices_.clear();
  for (const auto& [shape, plan] : plans_) destroy(plan);
  plans_.clear();
  return "";
}

}  // namespace lowrank::cuda
