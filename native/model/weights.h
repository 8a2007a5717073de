// The frozen base model: views into mapped files, plus f32 copies of the small vectors (norms, biases).
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/mapped_file.h"
#include "model/architecture.h"

namespace lowrank {

struct LinearWeights {
  Weight w;                     // (O, I)
  const float* bias = nullptr;  // (O)
};

struct BlockWeights {
  const float* attention_norm = nullptr;  // (C)
  const float* mlp_norm = nullptr;        // (C)
  LinearWeights linears[kSites];
};

// Every tensor the model needs is there, with the right shape and inside its file's declared size; files are not opened.
// Error E_TENSOR_MISSING, E_TENSOR_SHAPE, E_CONFIG_VALUE.
void check_source(const ModelSource&);

class ModelWeights {
 public:
  explicit ModelWeights(const ModelSource&);  // checks and maps; Error also E_FILE

  Weight embedding, head;             // (V, C) both; the same memory when tied
  const float* final_norm = nullptr;  // (C)
  std::vector<BlockWeights> blocks;

  int64_t parameters = 0;    // the tied head counts once
  int64_t mapped_bytes = 0;  // of the tensors in use

 private:
  const void* mapped(const FileRange&, const std::string& tensor);
  Weight view(const ModelSource&, const std::string& name, int64_t rows, int64_t cols);
  const float* vector_f32(const ModelSource&, const std::string& name, int64_t n);

  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // shared with other models of this process
  std::map<std::string, const TensorEntry*> index_;
  std::deque<std::vector<float>> vectors_;
};

}  // namespace lowrank
