// Mapped files that lose pages, and signals that are somebody else's.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/mapped_file.h"
#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

constexpr int64_t kBytes = 40'000;

struct TemporaryFile {
  std::string path;
  TemporaryFile() {
    char name[] = "/tmp/lowrank-unit-XXXXXX";
    const int fd = mkstemp(name);
    path = name;
    const std::vector<char> ones(kBytes, 1);
    if (write(fd, ones.data(), ones.size()) != kBytes) path.clear();
    close(fd);
  }
  ~TemporaryFile() { unlink(path.c_str()); }
  bool cut(int64_t bytes) const { return truncate(path.c_str(), bytes) == 0; }
};

char read_at(const char* data, int64_t i) { return *static_cast<const volatile char*>(data + i); }

// Exit status of a process that reads a lost page which nobody guards; `before` runs in it before the handler is installed.
template <class Before>
int unguarded_read(Before&& before) {
  const pid_t child = fork();
  if (child == 0) {
    before();
    const TemporaryFile guarded, file;
    const MappedFile mapping(guarded.path);
    const int fd = open(file.path.c_str(), O_RDONLY);
    void* p = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd, 0);
    if (!file.cut(0)) _exit(3);
    _exit(read_at(static_cast<const char*>(p), 0) == 0 ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

// A file that another one takes the place of while its weights are quantised: the next model has the other file's.
void test_replaced(Report& report) {
  const ModelSpec spec = tiny_spec({.vocab = 97, .dim = 256, .mlp = 1024, .layers = 12, .heads = 4, .kv_heads = 4, .head_dim = 64});
  const auto quantized = [](TinyModel& model) {
    for (TensorEntry& t : model.source.tensors) {
      if (t.shape.size() == 2 && t.name != model.source.spec.embedding) t.quantize.format = Format::nf4;
    }
  };
  TinyModel before(spec, random_values(1)), after(spec, random_values(2)), same(spec, random_values(2));
  for (TinyModel* model : {&before, &after, &same}) quantized(*model);
  const std::string path = before.source.tensors[0].file;
  const auto mapped = MappedFile::shared(path);
  LoadProgress progress, others;
  std::thread replaces([&] {
    while (progress.quantized == 0) std::this_thread::yield();
    std::filesystem::rename(after.source.tensors[0].file, path);
  });
  const ModelWeights first(before.source, 1, ModelWeights::SmallPages::stay, progress);
  replaces.join();
  const auto anew = MappedFile::shared(path);
  report.expect(anew->identity() == MappedFile::identity(path) && mapped->identity() != anew->identity() && MappedFile::shared(path) == anew,
                "unit: a file that took another one's place is mapped anew, once");
  const ModelWeights second(before.source, 1, ModelWeights::SmallPages::stay, others), expected(same.source, 1, ModelWeights::SmallPages::stay, others);
  int64_t wrong = 0;
  for (size_t l = 0; l < size_t(spec.layers); l++) {
    for (size_t i = 0; i < second.blocks[l].linears.size(); i++) {
      const Weight &found = second.blocks[l].linears[i].w, &wanted = expected.blocks[l].linears[i].w;
      wrong += std::memcmp(found.data, wanted.data, size_t(format_bytes(found.format, found.rows * found.cols))) != 0;
    }
  }
  report.expect(wrong == 0, "unit: a replaced file's weights are not the new one's", std::to_string(wrong) + " linears are");
}

}  // namespace

void test_mapped_files(Report& report) {
  // First of all, for the handler is installed once in a process.
  const int earlier = unguarded_read([] { signal(SIGBUS, [](int) { _exit(42); }); });
  report.expect(WIFEXITED(earlier) && WEXITSTATUS(earlier) == 42, "unit: a lost page of another mapping is for the handler that was there before");
  const int nobody = unguarded_read([] { signal(SIGBUS, SIG_DFL); });
  report.expect(WIFSIGNALED(nobody) && WTERMSIG(nobody) == SIGBUS, "unit: ... or ends the process, where there was none");

  const TemporaryFile file, other;
  auto mapped = std::make_unique<MappedFile>(file.path);
  const MappedFile whole(other.path);
  report.expect(!mapped->change() && read_at(mapped->data(), kBytes - 1) == 1, "unit: a mapped file is what it was");
  report.expect(file.cut(5000) && mapped->change().has_value(), "unit: a file that was cut is told before it is read");
  report.expect(read_at(mapped->data(), 4999) == 1 && read_at(mapped->data(), 5000) == 0 && read_at(mapped->data(), kBytes - 1) == 0,
                "unit: beyond a cut there are zeros");
  report.expect(file.cut(0) && read_at(mapped->data(), 0) == 0, "unit: ... and beyond another one");
  report.expect(file.cut(kBytes) && mapped->change().has_value(), "unit: a file that is long again was changed all the same");
  std::string code;
  try {
    mapped->check_unchanged();
  } catch (const Error& e) {
    code = e.code + e.where;
  }
  report.expect(code == "E_FILE_CHANGED" + file.path, "unit: the error names the file", code);
  report.expect(!whole.change() && read_at(whole.data(), kBytes - 1) == 1, "unit: other files are whole");

  // Many come and go; each has a guard of its own.
  mapped.reset();
  bool own = true;
  for (int round = 0; round < 50; round++) {
    const TemporaryFile first, second;
    const MappedFile cut(first.path, MappedFile::Access::private_copy), kept(second.path);
    own = own && first.cut(100) && read_at(cut.data(), kBytes - 1) == 0 && cut.change() && !kept.change() && read_at(kept.data(), kBytes - 1) == 1;
    const_cast<char*>(cut.data())[kBytes - 1] = 3;
    own = own && read_at(cut.data(), kBytes - 1) == 3;
  }
  report.expect(own, "unit: each mapping knows of its own file");

  test_replaced(report);
}

}  // namespace lowrank::test
