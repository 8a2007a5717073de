#include "model/architecture.h"

#include "base/error.h"

namespace lowrank {

namespace {
const Architecture* const kArchitectures[] = {&kLlama};
}  // namespace

std::vector<std::string> supported_architectures() {
  std::vector<std::string> names;
  for (const auto* a : kArchitectures) names.emplace_back(a->model_type);
  return names;
}

const Architecture& find_architecture(const std::string& model_type) {
  std::string known;
  for (const auto* a : kArchitectures) {
    if (model_type == a->model_type) return *a;
    known += (known.empty() ? "" : ", ") + std::string(a->model_type);
  }
  throw Error("E_ARCHITECTURE", "Architecture \"" + model_type + "\" is not supported. Supported: " + known + ".", model_type);
}

LinearShape linear_shape(const ModelConfig& c, Site site) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  switch (site) {
    case Site::q: return {q, c.dim};
    case Site::k:
    case Site::v: return {kv, c.dim};
    case Site::o: return {c.dim, q};
    case Site::gate:
    case Site::up: return {c.mlp_dim, c.dim};
    case Site::down: return {c.dim, c.mlp_dim};
  }
  throw Error("E_INTERNAL", "unknown linear");
}

std::string linear_name(const Architecture& a, int64_t layer, Site site) {
  return a.block_prefix + std::to_string(layer) + "." + a.linears[int(site)];
}

}  // namespace lowrank
