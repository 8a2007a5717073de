// Libraries beside the addon that are opened at run time: it is built and runs without them.
#pragma once
#include <string>

namespace lowrank {

struct PluginFile {
  const char* library;  // beside the code that opens it
  const char* named;    // the environment variable that names another build of it
  const char* factory;  // its one exported function, without arguments: the address of a struct that begins with its interface
  bool is_global;       // whether libraries that it loads see its own libraries' symbols
  // Of errors: their code and where, what the library is, what it is built of, and the page that tells how.
  const char *code, *where, *what, *needs, *page;
};

// The library's path.
std::string plugin_path(const PluginFile&);

// What its factory returns. It stays open to the end.
// interface: of the headers that both sides were compiled with. Error where there is no such library, it cannot be loaded or is of another version.
const void* open_plugin_file(const PluginFile&, const std::string& path, const char* interface);

}  // namespace lowrank
