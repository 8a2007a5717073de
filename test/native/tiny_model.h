// A made-up model in a file of bare f32 tensors, removed at the end; and texts for it.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "random.h"
#include "tiny_spec.h"
#include "train/engine.h"

namespace lowrank::test {

class TinyModel {
 public:
  using Values = std::function<std::vector<float>(const std::string& name, const std::vector<int64_t>& shape)>;
  // stored: f32 or bf16
  TinyModel(const ModelSpec&, const Values&, Format stored = Format::f32);
  ~TinyModel();
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  ModelSource source;
  std::vector<std::string> targets;  // every linear
  std::map<std::string, std::vector<float>> tensors;

 private:
  std::string file_;
};

// Norms around 1, the rest around 0.
TinyModel::Values random_values(uint64_t seed);

// Sequences of these lengths, by default one of a single token; a token is to be predicted from the tokens before it.
Batch batch_of(uint64_t seed, int64_t vocab, const std::vector<int64_t>& lengths = {17, 1, 30, 9});

}  // namespace lowrank::test
