// What a model folder says about itself, read and checked for plausibility by TypeScript (src/model), again here.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/quantize.h"

namespace lowrank {

struct RopeScaling {
  enum class Type { none, linear, dynamic, llama3 } type = Type::none;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 0;
};

struct ModelConfig {
  std::string model_type;
  int64_t vocab = 0, dim = 0, mlp_dim = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, max_positions = 0;
  double norm_eps = 1e-5, rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tied_head = false, attention_bias = false, mlp_bias = false;
};

struct FileRange {
  std::string file;
  int64_t offset = 0, bytes = 0;
};

struct TensorEntry {
  std::string name, file;
  Format format = Format::f32;
  std::vector<int64_t> shape;
  int64_t offset = 0, bytes = 0;
  int64_t interleaved = 0;  // as Weight's
  // Statistics of nf4, fp4 and i8, as Weight's.
  int64_t block_size = 64;
  FileRange absmax, absmax_codes, absmax_map;
  double absmax_offset = 0;
  double outlier_threshold = 0;  // of i8, stored or made while it is loaded
  QuantizeSpec quantize;  // while it is loaded
};

struct ModelSource {
  std::string folder;
  ModelConfig config;
  std::vector<TensorEntry> tensors;
};

}  // namespace lowrank
