// The sweeps over attention.
#include "cases.h"
#include "random.h"

namespace lowrank::test {

namespace {

struct Heads {
  int64_t heads, kv_heads;
};

Case drawn(const char* op, DType act, std::vector<int32_t> queries, Random& r) {
  Case c;
  c.op = op;
  c.act = act;
  c.queries = std::move(queries);
  const Heads h = r.pick({Heads{1, 1}, Heads{2, 1}, Heads{3, 1}, Heads{8, 1}, Heads{2, 2}, Heads{4, 2}, Heads{6, 2}});
  c.heads = h.heads;
  c.kv_heads = h.kv_heads;
  c.head_dim = r.pick({8, 20, 64, 80, 128});
  c.ld_pad = r.pick({0, 0, 1, 3, 16});
  c.size = r.pick({1.f, 1.f, 3.f});
  c.roomy = r.below(4) == 0;
  return c;
}

void add_both(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    const bool backward = std::string(op) == "attention_bwd";
    for (const DType act : kActs) {
      // One sequence of every length around the blocks of queries and the panels of keys.
      for (const int32_t n : {1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 130}) {
        cases.push_back(drawn(op, act, {n}, r));
        cases.back().optional = backward || r.coin();
      }
      for (const int64_t dim : {8, 20, 64, 80, 128}) {
        for (const Heads h : {Heads{1, 1}, Heads{2, 1}, Heads{3, 1}, Heads{8, 1}, Heads{6, 2}}) {
          Case c = drawn(op, act, {r.pick({7, 17, 33, 40})}, r);
          c.head_dim = dim;
          c.heads = h.heads;
          c.kv_heads = h.kv_heads;
          cases.push_back(c);
        }
      }
      // Many sequences: more than their panels fit the workspace at once when each is rounded up to whole panels.
      cases.push_back(drawn(op, act, {1, 65, 2, 70}, r));
      cases.push_back(drawn(op, act, {5, 5, 5, 5, 5, 5}, r));
      cases.push_back(drawn(op, act, {33, 1, 33, 4, 1}, r));
      cases.push_back(drawn(op, act, {2, 1, 64, 63}, r));
      // Scores far apart: a softmax with one winner, the others underflow.
      Case peaked = drawn(op, act, {40}, r);
      peaked.size = 10;
      cases.push_back(peaked);
      // Longer than a strip of 512 keys: a running softmax.
      Case lengthy = drawn(op, act, {530}, r);
      lengthy.heads = lengthy.kv_heads = 1;
      lengthy.head_dim = 20;
      cases.push_back(lengthy);
    }
  }
}

// As in generation: the keys of earlier tokens come from a cache.
void add_generation(std::vector<Case>& cases, Random& r) {
  for (const DType act : kActs) {
    for (const int32_t queries : {1, 2, 4, 5, 33}) {
      for (const int32_t past : {1, 31, 32, 63, 200}) {
        Case c = drawn("attention_fwd", act, {queries}, r);
        c.keys = {queries + past};
        c.optional = r.coin();
        cases.push_back(c);
      }
    }
    for (const int32_t queries : {1, 6}) {
      Case c = drawn("attention_fwd", act, {queries}, r);
      c.keys = {1100};
      c.head_dim = 20;
      cases.push_back(c);
    }
    // More heads of a key/value head than read its keys together, and runs of heads that end within one.
    for (const Heads h : {Heads{12, 1}, Heads{9, 3}, Heads{21, 3}}) {
      Case c = drawn("attention_fwd", act, {2}, r);
      c.keys = {90};
      c.heads = h.heads;
      c.kv_heads = h.kv_heads;
      cases.push_back(c);
    }
    Case several = drawn("attention_fwd", act, {1, 3, 40, 1}, r);
    several.keys = {9, 3, 73, 50};
    cases.push_back(several);
  }
}

// Heads in one matrix; with as many key/value heads as heads, grouped is per head.
void add_fused(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    for (const DType act : kActs) {
      for (const HeadLayout layout : kFusedLayouts) {
        for (const Heads h : {Heads{1, 1}, Heads{3, 3}, Heads{3, 1}, Heads{4, 2}}) {
          Case c = drawn(op, act, r.pick({std::vector<int32_t>{3}, {33}, {66}, {5, 40, 2}}), r);
          c.heads = h.heads;
          c.kv_heads = h.kv_heads;
          c.layout = layout;
          cases.push_back(c);
        }
      }
    }
  }
}

// Windows around the blocks of queries, the panels and the strips of keys, and caps; several sequences, and keys from a cache.
void add_windows_and_caps(std::vector<Case>& cases, Random& r) {
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    for (const DType act : kActs) {
      for (const int64_t window : {1, 2, 31, 32, 33, 64, 100}) {
        for (const std::vector<int32_t>& queries : {std::vector<int32_t>{3}, {70}, {130}, {5, 66, 2}}) {
          Case c = drawn(op, act, queries, r);
          c.window = window;
          c.cap = r.pick({0.f, 0.f, 2.f});
          cases.push_back(c);
        }
      }
      for (const int64_t window : {0, 7, 540}) {
        Case c = drawn(op, act, {600}, r);
        c.heads = c.kv_heads = 1;
        c.head_dim = 20;
        c.window = window;
        c.cap = 3;
        cases.push_back(c);
      }
      for (const float cap : {0.5f, 5.f, 50.f}) {
        Case c = drawn(op, act, {r.pick({3, 33, 66})}, r);
        c.cap = cap;
        cases.push_back(c);
      }
      for (const HeadLayout layout : kFusedLayouts) {
        Case c = drawn(op, act, {40, 7}, r);
        c.layout = layout;
        c.window = 9;
        c.cap = 4;
        cases.push_back(c);
      }
      if (std::string(op) == "attention_bwd") continue;
      for (const int32_t queries : {1, 3, 5, 40}) {
        for (const int64_t window : {1, 20, 600}) {
          Case c = drawn(op, act, {queries}, r);
          c.keys = {queries + 200};
          c.window = window;
          c.cap = r.pick({0.f, 2.f});
          cases.push_back(c);
        }
      }
    }
  }
}

void add_gradients(std::vector<Case>& cases, Random& r) {
  const auto add = [&](HeadLayout layout, Heads h, const std::vector<int32_t>& queries) {
    Case c = drawn("attention_bwd", DType::f32, queries, r);
    c.layout = layout;
    c.heads = h.heads;
    c.kv_heads = h.kv_heads;
    c.head_dim = 4;
    c.size = 1;
    c.gradient = true;
    cases.push_back(c);
  };
  for (const Heads h : {Heads{1, 1}, Heads{2, 1}, Heads{4, 2}}) {
    for (const std::vector<int32_t>& queries : {std::vector<int32_t>{1}, {4}, {3, 1, 2}}) add(HeadLayout::separate, h, queries);
  }
  for (const HeadLayout layout : kFusedLayouts) {
    for (const Heads h : {Heads{2, 2}, Heads{2, 1}, Heads{4, 2}}) add(layout, h, {3, 1, 2});
  }
  for (const auto& [window, cap] : {std::pair<int64_t, float>{2, 0.f}, {0, 0.7f}, {2, 0.7f}}) {
    add(HeadLayout::separate, {4, 2}, {5, 3});
    cases.back().window = window;
    cases.back().cap = cap;
  }
}

// Every query sees all keys: sequences around the blocks of queries and the strips of keys, and several at a time.
void add_bidirectional(std::vector<Case>& cases) {
  Random r(5);
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    const auto add = [&](DType act, const std::vector<int32_t>& queries) -> Case& {
      cases.push_back(drawn(op, act, queries, r));
      cases.back().causal = false;
      return cases.back();
    };
    for (const DType act : kActs) {
      for (const int32_t n : {1, 2, 4, 5, 31, 32, 33, 64, 65, 130}) add(act, {n});
      for (const std::vector<int32_t>& queries : {std::vector<int32_t>{5, 66, 2}, {1, 65, 2, 70}, {5, 5, 5, 5, 5, 5}}) add(act, queries);
      for (const HeadLayout layout : kFusedLayouts) add(act, {40, 7}).layout = layout;
      add(act, {33, 3}).cap = 2;
      Case& lengthy = add(act, {600});
      lengthy.heads = lengthy.kv_heads = 1;
      lengthy.head_dim = 20;
    }
  }
  for (const std::vector<int32_t>& queries : {std::vector<int32_t>{1}, {4}, {3, 1, 2}}) {
    Case c = drawn("attention_bwd", DType::f32, queries, r);
    c.head_dim = 4;
    c.size = 1;
    c.causal = false;
    c.gradient = true;
    cases.push_back(c);
  }
}

// Biases of keys: around the blocks of queries and the strips of keys, several sequences, a window beside them, and keys from a cache.
void add_biased(std::vector<Case>& cases) {
  Random r(6);
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    const auto add = [&](DType act, const std::vector<int32_t>& queries) -> Case& {
      cases.push_back(drawn(op, act, queries, r));
      cases.back().bias = true;
      return cases.back();
    };
    for (const DType act : kActs) {
      for (const std::vector<int32_t>& queries : {std::vector<int32_t>{1}, {5}, {33}, {130}, {5, 66, 2}}) add(act, queries);
      add(act, {70}).window = 9;
      for (const HeadLayout layout : kFusedLayouts) add(act, {40, 7}).layout = layout;
      Case& lengthy = add(act, {600});
      lengthy.heads = lengthy.kv_heads = 1;
      lengthy.head_dim = 20;
      if (std::string(op) == "attention_bwd") continue;
      for (const int32_t queries : {1, 3, 40}) add(act, {queries}).keys = {queries + 200};
    }
  }
  for (const std::vector<int32_t>& queries : {std::vector<int32_t>{4}, {3, 1, 2}}) {
    Case c = drawn("attention_bwd", DType::f32, queries, r);
    c.head_dim = 4;
    c.size = 1;
    c.bias = true;
    c.gradient = true;
    cases.push_back(c);
  }
}

void drop(Case& c, Random& r) {
  c.dropout = {r.pick({0.1f, 0.5f}), r.next(), r.next(), uint64_t(r.pick({0, 3, 40})) * uint64_t(c.heads) << 32};
}

// Dropout of the probabilities: few queries, blocks and strips, several sequences, windows, caps, biases, and heads in one matrix.
void add_dropout(std::vector<Case>& cases) {
  Random r(8);
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    const auto add = [&](DType act, const std::vector<int32_t>& queries) -> Case& {
      cases.push_back(drawn(op, act, queries, r));
      drop(cases.back(), r);
      return cases.back();
    };
    for (const DType act : kActs) {
      for (const std::vector<int32_t>& queries : {std::vector<int32_t>{1}, {4}, {5}, {33}, {65}, {130}, {5, 66, 2}}) add(act, queries);
      add(act, {70}).window = 9;
      add(act, {70}).cap = 3;
      add(act, {66}).bias = true;
      add(act, {40, 7}).causal = false;
      for (const HeadLayout layout : kFusedLayouts) add(act, {40, 7}).layout = layout;
      Case& lengthy = add(act, {600});
      lengthy.heads = lengthy.kv_heads = 1;
      lengthy.head_dim = 20;
    }
  }
  for (const bool causal : {true, false}) {
    for (const std::vector<int32_t>& queries : {std::vector<int32_t>{4}, {3, 1, 2}}) {
      Case c = drawn("attention_bwd", DType::f32, queries, r);
      c.head_dim = 4;
      c.size = 1;
      c.causal = causal;
      c.gradient = true;
      drop(c, r);
      cases.push_back(c);
    }
  }
}

}  // namespace

// Every head size that kernels on tensor cores are made for, and one that is padded: tiles that are full, not full and several, with all that
// attention does.
void add_attention_tile_cases(std::vector<Case>& cases) {
  Random r(7);
  for (const char* op : {"attention_fwd", "attention_bwd"}) {
    for (const int64_t dim : {64, 80, 96, 128, 256}) {
      const int32_t n = dim > 128 ? 33 : 65;
      const auto add = [&](Heads h, const std::vector<int32_t>& queries) -> Case& {
        Case& c = cases.emplace_back(drawn(op, DType::bf16, queries, r));
        c.heads = h.heads;
        c.kv_heads = h.kv_heads;
        c.head_dim = dim;
        c.ld_pad = r.pick({0, 8});
        return c;
      };
      add({1, 1}, {n});
      add({2, 1}, {7, n - 16});
      add({1, 1}, {3, n}).window = 20;
      add({4, 2}, {17}).cap = 3;
      add({2, 1}, {n / 2, 18}).bias = true;
      add({1, 1}, {n - 10}).causal = false;
      add({2, 1}, {33}).layout = HeadLayout::grouped;
      drop(add({2, 1}, {7, n - 16}), r);
      Case& windowed = add({1, 1}, {n + 1});
      windowed.window = 18;
      drop(windowed, r);
    }
  }
}

void add_attention_cases(std::vector<Case>& cases) {
  Random r(4);
  add_both(cases, r);
  add_generation(cases, r);
  add_fused(cases, r);
  add_windows_and_caps(cases, r);
  add_gradients(cases, r);
  add_bidirectional(cases);
  add_biased(cases);
  add_dropout(cases);
}

}  // namespace lowrank::test
