// Files as ArrayBuffers over their mapping.
#pragma once
#include <napi.h>

namespace lowrank::addon {

// mapFile(path): ArrayBuffer of the whole file. Error E_FILE.
Napi::Value map_file(const Napi::CallbackInfo&);
// releasePages(buffer): gives the resident pages of a mapped buffer back; the next access reads them from the page cache.
Napi::Value release_pages(const Napi::CallbackInfo&);
// mappedProblem(buffer): the change of the file of a mapped buffer since it was mapped, and the remedy. Null: there was no change, and
// the bytes that were read before the call are right.
Napi::Value mapped_problem(const Napi::CallbackInfo&);
// The same of the memory that a buffer begins with, or of any other. Error E_CACHE.
void check_mapped(const void* data);

// copiedBytes(path): bytes of a file of weights that engines of this process have copied into memory.
Napi::Value copied_bytes(const Napi::CallbackInfo&);

}  // namespace lowrank::addon
