// A group in a library of its own, which is opened at run time.
#pragma once
#include "group/group.h"

namespace lowrank {

// What the library's one exported function, `const GroupPlugin* lowrank_group_plugin()`, returns.
struct GroupPlugin {
  // Of the headers that both sides were compiled with (LOWRANK_INTERFACE, CMakeLists.txt). Nothing else is read where it differs.
  const char* interface;
  // Once in a process, by the thread that will call finish(). Error E_GROUP
  std::unique_ptr<Group> (*make)();
};
inline constexpr const char* kGroupPluginFactory = "lowrank_group_plugin";

}  // namespace lowrank
