// The CPU backend as the rest of the program sees it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ops/backend.h"

namespace lowrank {

// Instruction sets usable on this machine, the slowest first: "scalar", "avx2", "avx512", "avx512bf16", "avx512fp16", "amx".
std::vector<std::string> cpu_instruction_sets();

// The one to use: LOWRANK_CPU where set (error E_CPU where it is unknown or not usable here), else the fastest.
std::string cpu_default_instruction_set();

// Backend::workspace_bytes of a backend with `threads` threads. It makes no backend and starts no thread.
int64_t cpu_workspace_bytes(const OpLimits&, int threads, const std::string& instruction_set);

std::unique_ptr<Backend> make_cpu_backend(int threads, const std::string& instruction_set);

}  // namespace lowrank
