#include "cuda/switches.h"

#include <cstdlib>
#include <string_view>

namespace lowrank::cuda {

namespace {

constexpr struct {
  const char *name, *line;
  bool Switches::*of;
  const char *on = "on", *off = "off";
} kSwitches[] = {{"LOWRANK_CUDA_F32_SUMS", "sums in f32\n", &Switches::sums_in_f32},
                 {"LOWRANK_CUDA_BORDERED", "bordered weights\n", &Switches::bordered},
                 {kAttention, "attention through products\n", &Switches::attention_products, "products", "flash"}};

}  // namespace

bool wants_attention_products() {
  const char* const wanted = std::getenv(kAttention);
  return (wanted && std::string_view(wanted) == "products") || number_of_environment(kAttention, 0) > 0;
}

int64_t number_of_environment(const char* variable, int64_t otherwise) {
  const char* const wanted = std::getenv(variable);
  return wanted && std::atoll(wanted) > 0 ? std::atoll(wanted) : otherwise;
}

Switches Switches::of_environment() {
  Switches all;
  for (const auto& each : kSwitches) {
    const char* const value = std::getenv(each.name);
    all.*each.of = value && std::string_view(value) == each.on;
  }
  all.attention_products = wants_attention_products();
  return all;
}

std::string Switches::before(const std::string& plans) const {
  std::string lines;
  for (const auto& each : kSwitches) lines += this->*each.of ? each.line : "";
  return lines + plans;
}

std::string Switches::behind(const std::string& text, std::string& why) const {
  std::string rest = text;
  for (const auto& each : kSwitches) {
    const bool theirs = rest.starts_with(each.line);
    if (theirs) rest.erase(0, std::string_view(each.line).size());
    if (theirs != this->*each.of) why = std::string("they are of a run with ") + each.name + "=" + (theirs ? each.on : each.off) + ", this is one with " + (theirs ? each.off : each.on);
  }
  return rest;
}

}  // namespace lowrank::cuda
