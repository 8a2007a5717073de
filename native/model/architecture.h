// The table of model families. A family is described by a row, not by a class: the names of its weights over one
// shared decoder block. A new family is one file with its row, one line in architecture.cpp and one golden.
#pragma once
#include <string>
#include <vector>

#include "model/config.h"

namespace lowrank {

// The linears of a decoder block, in the order in which they are used.
enum class Site { q, k, v, o, gate, up, down };
constexpr int kSites = 7;
constexpr const char* kSiteNames[kSites] = {"q", "k", "v", "o", "gate", "up", "down"};

struct Architecture {
  const char* model_type;
  const char* embedding;          // (V, C)
  const char* final_norm;         // (C)
  const char* head;               // (V, C), absent when tied
  const char* block_prefix;       // followed by the layer's number and a dot
  const char* attention_norm;     // (C), input of q, k, v
  const char* mlp_norm;           // (C), input of gate and up
  const char* linears[kSites];    // module names within the block
  bool (*has_bias)(const ModelConfig&, Site);
};

// Error E_ARCHITECTURE, listing what is supported.
const Architecture& find_architecture(const std::string& model_type);
std::vector<std::string> supported_architectures();

struct LinearShape {
  int64_t out, in;
};
LinearShape linear_shape(const ModelConfig&, Site);
std::string linear_name(const Architecture&, int64_t layer, Site);

extern const Architecture kLlama;

}  // namespace lowrank
