// Rates per operation and instruction set, at the shapes of SmolLM2-135M: 4 sequences of 512 tokens, dim 576, MLP 1536,
// 9 heads and 3 key/value heads of 64, vocabulary 49152, adapters of rank 16.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "modes.h"
#include "runners.h"

namespace lowrank::test {

std::vector<Case> speed_cases() {
  std::vector<Case> cases;
  for (const DType act : {DType::bf16, DType::f32}) {
    const auto add = [&](const char* op, int64_t rows, int64_t in, int64_t features, int64_t rank) -> Case& {
      Case c;
      c.op = op;
      c.act = c.out = act;
      c.weight = DType::bf16;
      c.rows = rows;
      c.in = in;
      c.features = features;
      c.rank = rank;
      c.seed = cases.size() + 1;
      return cases.emplace_back(c);
    };
    for (const char* op : {"linear_fwd", "linear_bwd"}) {
      add(op, 2048, 576, 576, 16);
      add(op, 2048, 576, 576, 0);
      add(op, 2048, 576, 1536, 0);
      add(op, 2048, 1536, 576, 0);
    }
    add("linear_fwd", 1, 576, 49152, 0);
    add("head", 256, 576, 49152, 0);
    for (const char* op : {"attention_fwd", "attention_bwd"}) {
      Case& c = add(op, 1, 1, 1, 0);
      c.queries = {512, 512, 512, 512};
      c.heads = 9;
      c.kv_heads = 3;
      c.head_dim = 64;
    }
    for (const char* op : {"norm_fwd", "norm_apply", "norm_bwd"}) add(op, 2048, 576, 1, 0);
    Case& rope = add("rope", 2048, 1, 1, 0);
    rope.heads = 9;
    rope.head_dim = 64;
    for (const char* op : {"glu_fwd", "glu_bwd"}) add(op, 2048, 1536, 1, 0);
    add("cast", 2048, 576, 1, 0).out = act == DType::f32 ? DType::bf16 : DType::f32;
    add("gather_rows", 2048, 576, 2048, 0);
    add("embedding_fwd", 2048, 576, 4096, 0);
    if (act == DType::f32) {
      add("adamw", 1, 1 << 20, 1, 0);
      add("clip", 1, 1 << 20, 1, 0);
    }
  }
  return cases;
}

void run_speed(const Options& o, Report& report) {
  using clock = std::chrono::steady_clock;
  const int threads = o.threads > 0 ? o.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  const auto sets = real_sets(o.isa);
  double load = 0;
  getloadavg(&load, 1);
  std::printf(
      "GFLOP/s (products) or GB/s (passes, of what is read and written), best run, %d threads\n"
      "~: the median run took over 1.2 times as long as the best; the machine is not quiet. Load before: %.1f\n"
      "%-15s %-5s %-26s",
      threads, load, "operation", "act", "shape");
  for (const auto* set : sets) std::printf(" %11s", set->name);
  std::printf("\n");
  for (const Case& c : speed_cases()) {
    if (!o.op.empty() && c.op.find(o.op) == std::string::npos) continue;
    if (c.name().find(o.filter) == std::string::npos) continue;
    const Operation& op = operation(c.op);
    Slots slots;
    op.define(c, slots);
    Memory memory(slots, Memory::Kind::tested);
    std::string shape = std::to_string(c.rows) + " x " + std::to_string(c.in);
    if (!op.counts_bytes) shape += " x " + std::to_string(c.features);
    if (c.rank) shape += " r " + std::to_string(c.rank);
    if (c.heads > 1)
      shape = std::string(c.queries.empty() ? "2048" : "4 x 512") + ", " + std::to_string(c.heads) + " heads of " +
              std::to_string(c.head_dim);
    std::printf("%-15s %-5s %-26s", c.op.c_str(), dtype_name(c.act), shape.c_str());
    for (const auto* set : sets) {
      Runner runner(*set, threads);
      Backend& backend = runner.prepare(limits_of(c), true);
      std::vector<double> runs;
      double total = 0;
      op.call(c, backend, memory);  // memory is touched, caches are warm
      while (runs.size() < 3 || (runs.size() < 200 && total < 0.5)) {
        const auto start = clock::now();
        op.call(c, backend, memory);
        runs.push_back(std::chrono::duration<double>(clock::now() - start).count());
        total += runs.back();
      }
      std::sort(runs.begin(), runs.end());
      const bool steady = runs[runs.size() / 2] <= 1.2 * runs[0];
      std::printf(" %10.1f%c", op.work(c) * (op.counts_bytes ? 1 : 2) / runs[0] * 1e-9, steady ? ' ' : '~');
      std::fflush(stdout);
    }
    std::printf("\n");
    report.pass();
  }
}

}  // namespace lowrank::test
