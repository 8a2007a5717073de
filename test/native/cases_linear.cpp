// The sweeps over linears. One dimension or option is swept at a time; the others are drawn, so that they combine.
#include <algorithm>

#include "cases.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr DType kWeights[] = {DType::f32, DType::bf16, DType::f16};

class Sweep {
 public:
  Sweep(const char* op, std::vector<Case>& cases) : op_(op), cases_(cases), random_(op_.size() * 977 + op_.back()) {}

  // A case whose dimensions are small and whose options are drawn.
  Case drawn(DType act, DType weight) {
    Case c;
    c.op = op_;
    c.act = act;
    c.weight = weight;
    c.out = random_.coin() ? act : DType::f32;
    c.rows = random_.pick({5, 9, 33});
    c.in = random_.pick({5, 33, 40, 64});
    c.features = random_.pick({5, 33, 40, 64});
    if (random_.coin()) c.rank = random_.pick({1, 4, 5, 8, 16, 33});
    c.bias = random_.coin();
    c.accumulate = random_.coin();
    c.ld_pad = random_.pick({0, 0, 1, 3, 16, 64});
    c.misalign = random_.pick({0, 1, 2, 3, 6});
    c.optional = random_.below(8) != 0;
    c.roomy = random_.below(4) == 0;
    return c;
  }
  void dropout(Case& c, float p) {
    c.dropout = {p, random_.next(), random_.next(), uint64_t(random_.pick({0, 1, 2, 3, 4, 4096, 1001}))};
  }
  void add(const Case& c) { cases_.push_back(c); }
  Random& random() { return random_; }

 private:
  std::string op_;
  std::vector<Case>& cases_;
  Random random_;
};

void sweep_tails(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const DType weight : kWeights) {
      for (const int64_t n : kTails) {
        for (int64_t Case::* dimension : {&Case::rows, &Case::in, &Case::features}) {
          Case c = sweep.drawn(act, weight);
          c.*dimension = n;
          sweep.add(c);
        }
      }
    }
  }
}

void sweep_adapters(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const int64_t rank : {1, 4, 5, 8, 16, 33}) {
      for (const float p : {0.f, 0.5f, 0.1f}) {
        for (const int64_t rows : {2, 17}) {
          Case c = sweep.drawn(act, sweep.random().pick({DType::f32, DType::bf16, DType::f16}));
          c.rows = rows;
          c.rank = rank;
          if (p > 0) sweep.dropout(c, p);
          sweep.add(c);
        }
      }
    }
  }
}

// Beyond a chunk of the contraction (704), beyond a task's 96 rows and 192 columns.
void sweep_blocks(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const int64_t in : {577, 583, 705, 1409}) {
      for (const int64_t features : {7, 40}) {
        Case c = sweep.drawn(act, sweep.random().pick({DType::f32, DType::bf16, DType::f16}));
        c.in = in;
        c.features = features;
        sweep.add(c);
        std::swap(c.in, c.features);
        sweep.add(c);
      }
    }
    for (const int64_t rows : {96, 97, 129, 193}) {
      for (const int64_t features : {191, 193, 225}) {
        Case c = sweep.drawn(act, DType::bf16);
        c.rows = rows;
        c.in = sweep.random().pick({7, 33});
        c.features = features;
        sweep.add(c);
      }
    }
  }
}

// A few rows go without packing; x passes a buffer of 2048.
void sweep_few_rows(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const DType weight : kWeights) {
      for (const int64_t rows : {1, 2, 3, 4}) {
        for (const int64_t in : {1, 31, 583, 2049, 4100}) {
          Case c = sweep.drawn(act, weight);
          c.rows = rows;
          c.in = in;
          c.features = sweep.random().pick({1, 5, 64, 65});
          sweep.add(c);
        }
      }
      for (const int64_t rows : {5, 8, 13, 16}) {  // rows of texts that are generated together
        Case c = sweep.drawn(act, weight);
        c.rows = rows;
        c.in = sweep.random().pick({31, 583, 2049});
        c.features = sweep.random().pick({5, 65, 130});
        c.rank = sweep.random().pick({0, 3});
        c.together = true;
        sweep.add(c);
      }
    }
  }
}

// Rows a multiple of 2 KB apart, which share few sets of the first cache: kernels may read a copy of them.
void sweep_colliding(Sweep& sweep, bool backward) {
  for (const int64_t length : {1024, 2048}) {
    for (const int64_t rows : {33, 97}) {
      for (const int64_t rank : {0, 5}) {
        Case c = sweep.drawn(DType::bf16, DType::bf16);
        c.rows = rows;
        (backward ? c.features : c.in) = length;
        (backward ? c.in : c.features) = 40;
        c.rank = rank;
        c.ld_pad = 0;
        sweep.add(c);
      }
    }
  }
}

// Contractions over tokens beyond a chunk, and beyond the 16,384 that are packed in one go.
void sweep_long(Sweep& sweep, bool backward) {
  for (const DType act : kActs) {
    for (const int64_t rows : {705, 1409}) {
      Case c = sweep.drawn(act, DType::bf16);
      c.rows = rows;
      c.in = 9;
      c.features = 7;
      c.rank = backward ? 5 : 0;
      sweep.add(c);
    }
    for (const int64_t rank : {0, 4}) {
      Case c = sweep.drawn(act, DType::bf16);
      c.rows = 6;
      c.in = backward ? 3 : 16 * 1024 + 37;
      c.features = backward ? 16 * 1024 + 37 : 3;
      c.rank = rank;
      c.bias = c.optional = true;  // the bias belongs to one of the rounds only
      c.out = DType::f32;
      sweep.add(c);
      c.out = act;
      sweep.add(c);
    }
  }
}

// Weights that bf16 does not hold: looser bounds, but the rounding itself.
void sweep_rounded_weights(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const DType weight : {DType::f32, DType::f16}) {
      for (const int64_t rows : {3, 31}) {
        Case c = sweep.drawn(act, weight);
        c.rows = rows;
        c.exact = false;
        sweep.add(c);
      }
    }
  }
}

// Codes in blocks: packed from a decoded tile, forward and backward, and few rows without packing; beyond a chunk of the
// contraction, and rows that are interleaved.
void sweep_stored(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const Format f : kQuantized) {
      const int64_t block = std::max<int64_t>(32, format_info(f).block);
      for (const int64_t rows : {1, 4, 5, 33, 97}) {
        for (const int64_t in : {block, 3 * block, (704 / block + 2) * block}) {
          Case c = sweep.drawn(act, DType::f32);
          c.stored = {f, sweep.random().pick({0, 0, 8}), 64, is_four_bit(f) && sweep.random().coin()};
          c.rows = rows;
          c.in = in;
          c.features = sweep.random().pick({8, 40, 64, 232});
          sweep.add(c);
        }
      }
      if (!is_four_bit(f) && f != Format::i8) continue;
      for (const int64_t in : {1, 33, 583}) {  // rows of any length
        Case c = sweep.drawn(act, DType::f32);
        c.stored = {f, 0, sweep.random().pick({64, 32, 256}), is_four_bit(f)};
        c.in = in;
        sweep.add(c);
      }
    }
    for (const Format f : {Format::f32, Format::bf16, Format::f16}) {  // interleaved rows of plain ones
      Case c = sweep.drawn(act, dtype_of(f));
      c.stored.interleaved = 8;
      c.features = 40;
      sweep.add(c);
    }
  }
}

// LLM.int8: no outliers, outliers in some columns and, where the threshold is low, in all. There are more outliers than go into a
// product at a time, more outputs than a task has, contractions beyond a chunk and beyond what 32 bits hold, and few rows.
void sweep_int8(Sweep& sweep) {
  const auto add = [&](DType act, float threshold, int64_t rows, int64_t in, int64_t features) {
    Case c = sweep.drawn(act, DType::f32);
    c.stored = {.format = Format::i8, .threshold = threshold};
    c.rows = rows;
    c.in = in;
    c.features = features;
    if (c.rank && sweep.random().coin()) sweep.dropout(c, 0.3f);
    sweep.add(c);
  };
  for (const DType act : kActs) {
    for (const float threshold : {2.f, 0.97f, 0.01f}) {
      for (const int64_t rows : {1, 2, 4, 5, 33, 97}) {
        for (const int64_t in : {1, 31, 64, 583, 1409}) add(act, threshold, rows, in, sweep.random().pick({1, 33, 64}));
      }
      for (const int64_t rows : {3, 34}) add(act, threshold, rows, 40, 1031);
    }
    add(act, 2, 3, 128 * 1024 + 70, 5);
  }
}

// The 8-bit backward pass: either rounding, one linear of an input or several, with and without a mask, more columns than a task has, and contractions
// beyond a chunk and beyond what 32 bits hold.
void sweep_gradient_codes(Sweep& sweep) {
  const auto add = [&](DType act, GradientCodes codes, int also, int64_t rows, int64_t in, int64_t features) {
    Case c = sweep.drawn(act, DType::f32);
    c.stored = {.format = Format::i8, .gradients = codes};
    c.also = also;
    c.rows = rows;
    c.in = in;
    c.features = features;
    c.optional = true;
    if (c.rank && sweep.random().coin()) sweep.dropout(c, 0.3f);
    sweep.add(c);
  };
  for (const DType act : kActs) {
    for (const GradientCodes codes : {GradientCodes::nearest, GradientCodes::stochastic}) {
      for (const int also : {0, 1, 2}) {
        for (const int64_t rows : {1, 5, 33, 97}) {
          for (const int64_t features : {1, 31, 64, 583, 1409}) add(act, codes, also, rows, sweep.random().pick({1, 33, 64}), features);
        }
        add(act, codes, also, 34, 1031, 40);
      }
    }
    add(act, GradientCodes::nearest, 0, 3, 5, 128 * 1024 + 70);
  }
}

// Several linears of one input, as q, k and v are, and gate and up.
void sweep_also(Sweep& sweep) {
  for (const DType act : kActs) {
    for (const int also : {1, 2}) {
      for (const int64_t rank : {0, 5, 16}) {
        for (const int64_t rows : {2, 33, 97}) {
          for (const float p : {0.f, 0.3f}) {
            if (!rank && p > 0) continue;
            Case c = sweep.drawn(act, sweep.random().pick({DType::f32, DType::bf16, DType::f16}));
            c.also = also;
            c.rank = rank;
            c.rows = rows;
            c.optional = true;
            if (p > 0) sweep.dropout(c, p);
            if (rows == 97) c.features = sweep.random().pick({583, 705});
            sweep.add(c);
          }
        }
      }
      Case c = sweep.drawn(act, DType::bf16);  // together longer than a round of the contraction
      c.also = also;
      c.rank = 8;
      c.rows = 40;
      c.features = 1103;
      c.out = DType::f32;
      sweep.add(c);
    }
  }
}

// The last rows of A read x as it is, also where the others read nothing.
void sweep_undropped(Sweep& sweep, int also) {
  for (const DType act : kActs) {
    for (const int64_t rank : {2, 5, 16, 33}) {
      for (const float p : {0.3f, 1.f}) {
        Case c = sweep.drawn(act, sweep.random().pick({DType::f32, DType::bf16, DType::f16}));
        c.rank = rank;
        c.rows = sweep.random().pick({2, 33, 97});
        c.undropped = sweep.random().pick({int64_t(1), rank / 2});
        c.also = sweep.random().coin() ? also : 0;
        c.optional = true;
        sweep.dropout(c, p);
        sweep.add(c);
      }
    }
  }
}

// Few rows of texts that are generated, which a device multiplies without decoding the weights into memory: contractions beyond a turn of its warps.
void sweep_generated(Sweep& sweep) {
  for (const Format f : kQuantized) {
    for (const int64_t rows : {1, 7, 8, 9, 16, 17}) {
      Case c = sweep.drawn(DType::bf16, DType::f32);
      c.stored = {f, sweep.random().pick({0, 0, 8}), 64, is_four_bit(f) && sweep.random().coin()};
      c.rows = rows;
      c.in = sweep.random().pick({256, 1280, 2304});
      c.features = sweep.random().pick({8, 24, 40});
      c.ld_pad = sweep.random().pick({0, 8});
      sweep.add(c);
    }
  }
  for (const float threshold : {2.f, 0.97f, 0.01f}) {  // codes in the shapes of tensor cores
    for (const DType act : kActs) {
      Case c = sweep.drawn(act, DType::f32);
      c.stored = {.format = Format::i8, .threshold = threshold};
      c.rows = sweep.random().pick({1, 16, 33});
      c.in = sweep.random().pick({16, 96, 592});
      c.features = sweep.random().pick({4, 132});
      sweep.add(c);
    }
  }
}

void sweep_gradients(Sweep& sweep) {
  for (const int64_t rank : {0, 1, 3}) {
    for (const float p : {0.f, 0.3f}) {
      for (const bool accumulate : {false, true}) {
        if (!rank && p > 0) continue;
        Case c = sweep.drawn(DType::f32, DType::f32);
        c.rows = 3;
        c.in = 5;
        c.features = 4;
        c.rank = rank;
        c.out = DType::f32;
        c.accumulate = accumulate;
        c.optional = c.gradient = true;
        if (p > 0) sweep.dropout(c, p);
        sweep.add(c);
        if (p == 0 || rank == 1) continue;
        c.undropped = 1;
        sweep.add(c);
      }
    }
  }
}

}  // namespace

void add_linear_cases(std::vector<Case>& cases) {
  Sweep forward("linear_fwd", cases);
  sweep_tails(forward);
  sweep_adapters(forward);
  sweep_blocks(forward);
  sweep_few_rows(forward);
  sweep_colliding(forward, false);
  sweep_long(forward, false);
  sweep_rounded_weights(forward);
  sweep_stored(forward);
  sweep_int8(forward);
  sweep_undropped(forward, 0);
  sweep_generated(forward);
  Sweep backward("linear_bwd", cases);
  sweep_tails(backward);
  sweep_adapters(backward);
  sweep_blocks(backward);
  sweep_colliding(backward, true);
  sweep_long(backward, true);
  sweep_rounded_weights(backward);
  sweep_stored(backward);
  sweep_gradient_codes(backward);
  sweep_also(backward);
  sweep_undropped(backward, 2);
  sweep_gradients(backward);
}

}  // namespace lowrank::test
