// The groups there are: one process, and the plugin of MPI.
#include "base/error.h"
#include "base/plugin_file.h"
#include "group/plugin.h"

namespace lowrank {

namespace {

constexpr PluginFile kPlugin = {.library = "liblowrank_mpi.so",
                                .named = "LOWRANK_MPI_PLUGIN",
                                .factory = kGroupPluginFactory,
                                // Open MPI opens its own parts, which look for its symbols.
                                .is_global = true,
                                .code = "E_MPI",
                                .where = "group",
                                .what = "MPI plugin",
                                .needs = "Open MPI's mpi.h (apt-get install libopenmpi-dev openmpi-bin)",
                                .page = "docs/distributed.md"};

const GroupPlugin& plugin() { return *static_cast<const GroupPlugin*>(open_plugin_file(kPlugin, plugin_path(kPlugin), LOWRANK_INTERFACE)); }

class Alone : public Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void finish() override {}
  void abort() override {}

 protected:
  // Never called: the sums of one are what they are.
  void exchange(const float*, const std::vector<int>&, float*) override {}
  void gather(Channel, const void*, const std::vector<int>&, void*) override {}
  void broadcast(void*, int) override {}
};

}  // namespace

std::unique_ptr<Group> make_group(const std::string& kind) {
  if (kind.empty()) return std::make_unique<Alone>();
  if (kind != "mpi") throw Error("E_GROUP", "There is no group called \"" + kind + "\": there is mpi.", "group");
  return plugin().make();
}

std::string group_problem() {
  try {
    plugin();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace lowrank
