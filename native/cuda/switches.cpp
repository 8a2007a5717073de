#include "cuda/switches.h"

#include <cstdlib>
#include <string_view>

namespace lowrank::cuda {

namespace {

constexpr struct {
  const char *name, *line;
  bool Switches::*of;
} kSwitches[] = {{"LOWRANK_CUDA_F32_SUMS", "sums in f32\n", &Switches::sums_in_f32}, {"LOWRANK_CUDA_BORDERED", "bordered weights\n", &Switches::bordered}};

}  // namespace

Switches Switches::of_environment() {
  Switches all;
  for (const auto& each : kSwitches) {
    const char* const value = std::getenv(each.name);
    all.*each.of = value && std::string_view(value) == "on";
  }
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
    if (theirs != this->*each.of) why = std::string("they are of a run with ") + each.name + "=" + (theirs ? "on" : "off") + ", this is one with " + (theirs ? "off" : "on");
  }
  return rest;
}

}  // namespace lowrank::cuda
