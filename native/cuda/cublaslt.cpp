#include "cuda/cublaslt.h"

#include <dirent.h>
#include <dlfcn.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace lowrank::cuda {

namespace {

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

void add_list(std::vector<std::string>& to, const std::string& colons) {
  std::istringstream parts(colons);
  for (std::string part; std::getline(parts, part, ':');) {
    if (!part.empty()) to.push_back(part);
  }
}

// Folders of pip's wheels of NVIDIA's libraries, below the places where Python keeps its packages.
void add_wheels(std::vector<std::string>& to, const std::string& lib) {
  DIR* const folder = opendir(lib.c_str());
  if (!folder) return;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (!name.starts_with("python3")) continue;
    for (const char* packages : {"/site-packages", "/dist-packages"}) {
      const std::string nvidia = lib + "/" + name + packages + "/nvidia";
      for (const char* library : {"/cu13/lib", "/cublas/lib"}) to.push_back(nvidia + library);
    }
  }
  closedir(folder);
}

// In the order of preference; an empty one is the system's own search.
std::vector<std::string> places() {
  std::vector<std::string> list;
  add_list(list, variable("LOWRANK_CUBLASLT_PATH"));
  list.emplace_back();
  list.emplace_back("/usr/local/cuda/lib64");
  if (const std::string home = variable("CUDA_HOME"); !home.empty()) list.push_back(home + "/lib64");
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string prefix = variable(name); !prefix.empty()) add_wheels(list, prefix + "/lib");
  }
  if (const std::string home = variable("HOME"); !home.empty()) add_wheels(list, home + "/.local/lib");
  for (const char* lib : {"/usr/local/lib", "/usr/lib", "/usr/lib/python3"}) add_wheels(list, lib);
  return list;
}

CublasLt opened() {
  std::string tried;
  for (const std::string& place : places()) {
    for (const char* name : kNames) {
      const std::string path = place.empty() ? name : place + "/" + name;
      void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) {
        tried += "\n  " + path;
        continue;
      }
      CublasLt all{};
      bool is_whole = true;
      const auto find = [&](auto& function, const char* symbol) {
        function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, symbol));
        is_whole = is_whole && function;
      };
      find(all.create, "cublasLtCreate");
      find(all.destroy, "cublasLtDestroy");
      find(all.version, "cublasLtGetVersion");
      find(all.status, "cublasLtGetStatusString");
      find(all.matmul, "cublasLtMatmul");
      find(all.heuristic, "cublasLtMatmulAlgoGetHeuristic");
      find(all.desc_create, "cublasLtMatmulDescCreate");
      find(all.desc_destroy, "cublasLtMatmulDescDestroy");
      find(all.desc_set, "cublasLtMatmulDescSetAttribute");
      find(all.layout_create, "cublasLtMatrixLayoutCreate");
      find(all.layout_destroy, "cublasLtMatrixLayoutDestroy");
      find(all.preference_create, "cublasLtMatmulPreferenceCreate");
      find(all.preference_destroy, "cublasLtMatmulPreferenceDestroy");
      find(all.preference_set, "cublasLtMatmulPreferenceSetAttribute");
      if (is_whole) return all;
      dlclose(library);
      tried += "\n  " + path + " (without functions that are needed)";
    }
  }
  throw Error("E_DEVICE",
              "cuBLASLt of CUDA 13 or 12 was not found. Install it with: python3 -m pip install nvidia-cublas, or name its folder in "
              "LOWRANK_CUBLASLT_PATH. Tried:" + tried,
              "device");
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt all = opened();
  return all;
}

}  // namespace lowrank::cuda
