#include "cases.h"

namespace lowrank::test {

std::string Case::name() const {
  std::string s = op;
  const auto add = [&](const std::string& key, const std::string& value) { s += " " + key + "=" + value; };
  const auto number = [&](const std::string& key, int64_t value) { add(key, std::to_string(value)); };
  const auto lengths = [](const std::vector<int32_t>& v) {
    std::string list;
    for (const int32_t n : v) list += (list.empty() ? "" : ",") + std::to_string(n);
    return list;
  };
  if (queries.empty()) {
    number("m", rows);
    number("i", in);
    number("o", features);
  } else {
    add("queries", lengths(queries));
    if (!keys.empty()) add("keys", lengths(keys));
  }
  add("act", dtype_name(act));
  add("w", is_plain(stored.format) ? dtype_name(weight) : format_name(stored.format));
  if (stored.interleaved) number("interleaved", stored.interleaved);
  if (stored.nested) s += " nested";
  add("out", dtype_name(out));
  if (rank) number("r", rank);
  if (heads > 1 || head_dim > 2)
    add("heads", std::to_string(heads) + "/" + std::to_string(kv_heads) + "x" + std::to_string(head_dim));
  if (layout != HeadLayout::separate) s += std::string(" ") + layout_name(layout);
  if (undropped > 0) number("undropped", undropped);
  if (rest) s += " rest";
  if (dropout.active()) add("dropout", std::to_string(dropout.p) + "@" + std::to_string(dropout.offset));
  if (size != 1) add("size", std::to_string(size));
  if (ld_pad) number("ld+", ld_pad);
  if (misalign) number("byte", misalign);
  if (step > 1) number("t", step);
  if (function != HeadFunction::none) s += function == HeadFunction::tanh ? " tanh" : " relu";
  if (loss != LabelLoss::single_label_classification) s += loss == LabelLoss::regression ? " regression" : " multi-label";
  if (bias) s += " bias";
  if (accumulate) s += " accumulate";
  if (together) s += " together";
  if (!optional) s += " without-optional";
  if (trains) s += " trains";
  if (replaced) number("replaced", replaced);
  if (!exact) s += " rounded-weights";
  if (also) number("also", also);
  if (inverse) s += " inverse";
  if (rotary) number("rotary", rotary);
  if (interleaved) s += " pairs";
  if (window) number("window", window);
  if (!causal) s += " bidirectional";
  if (cap > 0) add("cap", std::to_string(cap));
  if (factor != 1) add("factor", std::to_string(factor));
  if (centred) s += " centred";
  if (each) s += " each";
  if (!gated) s += " without-u";
  if (activation != Activation::silu) number("f", int64_t(activation));
  if (alias == Alias::y_is_x) s += " y=x";
  if (alias == Alias::dg_is_da) s += " dg=da";
  if (alias == Alias::dg_is_g_and_du_is_u) s += " dg=g,du=u";
  if (roomy) s += " roomy";
  return s + " #" + std::to_string(seed);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_linear_cases(cases);
  add_row_cases(cases);
  add_attention_cases(cases);
  add_head_cases(cases);
  add_optimizer_cases(cases);
  add_dense_cases(cases);
  add_attention_tile_cases(cases);
  add_sample_cases(cases);
  add_chunk_cases(cases);
  add_rank_cases(cases);
  for (size_t i = 0; i < cases.size(); i++) cases[i].seed = i + 1;
  return cases;
}

}  // namespace lowrank::test
