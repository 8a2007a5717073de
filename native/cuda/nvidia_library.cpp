#include "cuda/nvidia_library.h"

#include <dirent.h>
#include <dlfcn.h>

#include <cstdlib>
#include <sstream>

#include "base/error.h"

namespace lowrank::cuda {

namespace {

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

// Folders of pip's wheels, below the places where Python keeps its packages.
void add_wheels(std::vector<std::string>& to, const std::string& lib, const std::vector<std::string>& in_wheels) {
  DIR* const folder = opendir(lib.c_str());
  if (!folder) return;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (!name.starts_with("python3")) continue;
    for (const char* packages : {"/site-packages", "/dist-packages"}) {
      for (const std::string& wheel : in_wheels) to.push_back(lib + "/" + name + packages + "/nvidia/" + wheel);
    }
  }
  closedir(folder);
}

// In the order of preference; an empty one is the system's own search.
std::vector<std::string> places(const NvidiaLibrary& l) {
  std::vector<std::string> list;
  add_list(list, variable(l.variable));
  list.emplace_back();
  list.emplace_back("/usr/local/cuda/lib64");
  if (const std::string home = variable("CUDA_HOME"); !home.empty()) list.push_back(home + "/lib64");
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string prefix = variable(name); !prefix.empty()) add_wheels(list, prefix + "/lib", l.in_wheels);
  }
  if (const std::string home = variable("HOME"); !home.empty()) add_wheels(list, home + "/.local/lib", l.in_wheels);
  for (const char* lib : {"/usr/local/lib", "/usr/lib", "/usr/lib/python3"}) add_wheels(list, lib, l.in_wheels);
  return list;
}

}  // namespace

bool find_function(void* library, const char* symbol, void** function) {
  *function = dlsym(library, symbol);
  return *function != nullptr;
}

void open_nvidia_library(const NvidiaLibrary& l, const Fill& fill) {
  std::string tried;
  for (const std::string& place : places(l)) {
    for (const std::string& name : l.names) {
      const std::string path = place.empty() ? name : place + "/" + name;
      void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) {
        tried += "\n  " + path;
        continue;
      }
      if (fill(library)) return;
      dlclose(library);
      tried += "\n  " + path + " (without functions that are needed)";
    }
  }
  throw Error("E_DEVICE", std::string(l.what) + " was not found. Install it with: python3 -m pip install " + l.package + ", or name its folder in " + l.variable + ". Tried:" + tried,
              "device");
}

}  // namespace lowrank::cuda
