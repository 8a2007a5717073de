// One text that is being generated: its key/value cache and how far it is.
#pragma once
#include <vector>

#include "base/arena.h"
#include "block/pass.h"
#include "train/layout.h"
#include "train/sampling.h"

namespace lowrank {

class TextSlot {
 public:
  TextSlot(Backend& backend, const ModelSpec& model, const EngineOptions& o)
      : most_(o.cache_tokens), k_(reserve(arena_, model, o)), v_(reserve(arena_, model, o)) {
    if (arena_.total_bytes() > 0) arena_.commit(backend.allocate(arena_.total_bytes()));
  }
  // The items that one will hold.
  static void plan(Arena& arena, const ModelSpec& model, const EngineOptions& o) {
    reserve(arena, model, o);
    reserve(arena, model, o);
  }

  Cache cache() const { return {arena_.at<char>(k_), arena_.at<char>(v_), most_}; }

  int adapter = -1;         // number of the adapter that it is generated with; -1: the base alone
  Sampling sampling;
  int64_t cached = -1;      // tokens in the cache; -1: nothing started
  std::vector<int32_t> tokens;  // in the cache
  uint64_t generated = 0;   // tokens

 private:
  static int64_t reserve(Arena& arena, const ModelSpec& model, const EngineOptions& o) {
    return arena.reserve("key/value cache", model.layers * o.cache_tokens * model.block.attention.kv_dim() * dtype_bytes(o.act));
  }

  Arena arena_;
  int64_t most_, k_, v_;
};

}  // namespace lowrank
