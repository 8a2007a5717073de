// Libraries of NVIDIA that are opened at run time, where toolkits and pip's wheels put them: the plugin needs none of them to load.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace lowrank::cuda {

struct NvidiaLibrary {
  // Of errors: what the library is, and the package of pip that has it.
  const char *what, *package;
  const char* variable;                // the environment variable that names its folder
  std::vector<std::string> names;      // of its file, in the order of preference
  std::vector<std::string> in_wheels;  // its folders below a Python's packages' folder nvidia
};

// Fills a table of functions from an open library; false where one is not there.
using Fill = std::function<bool(void* library)>;
// Opens the first library that fills the table; it stays open. Error E_DEVICE with every place that was tried.
void open_nvidia_library(const NvidiaLibrary&, const Fill&);
// Of Fill: whether the library has the function.
bool find_function(void* library, const char* symbol, void** function);
template <class Function>
bool find(void* library, const char* symbol, Function*& function) {
  return find_function(library, symbol, reinterpret_cast<void**>(&function));
}

}  // namespace lowrank::cuda
