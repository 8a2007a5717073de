// Thread pool, arena and large pages.
#include <algorithm>
#include <atomic>
#include <new>
#include <set>
#include <vector>

#include "base/arena.h"
#include "base/large_page_allocator.h"
#include "base/large_pages.h"
#include "base/thread_pool.h"
#include "cpu/coming_rows.h"
#include "modes.h"
#include "ops/backends.h"
#include "ref/ref_backend.h"

namespace lowrank::test {

void run_unit(const Options&, Report& report) {
  test_mapped_files(report);
  test_dtypes(report);
  test_quantizing(report);
  test_generator(report);
  test_thread_pool(report);
  test_arena(report);
  test_coming_rows(report);
  test_repeats(report);
  RefBackend twin;
  test_memory(twin, report);
  test_memory(*make_backend("cpu", 2), report);
  test_large_pages(report);
  test_step_state(report);
  test_rope_table(report);
  test_sampling(report);
  test_engine(report);
  test_ranks(report);
  test_device(report);
  test_merge_range(report);
  test_refused_buffers(report);
  test_fused(report);
}

void test_coming_rows(Report& report) {
  std::vector<char> memory(4 * 1000);
  const auto part = [&](int64_t begin, int64_t rows) { return Mat(memory.data() + begin * 2, DType::bf16, rows, 10); };
  const Mat rows[] = {part(500, 40), part(0, 0), part(1500, 3), part(1000, 25)};
  constexpr int64_t kOutputs = 7, kBytes = 36, kTimes = 20, kAll = (40 + 3 + 25) * 20;
  cpu::ComingRows coming;
  report.expect(coming.take(kOutputs, kBytes).at == nullptr, "unit: coming rows: none before there are some");
  coming.set(rows, kTimes * kOutputs * kBytes, kAll);
  bool in_order = true, enough = true, even = true;
  int64_t times = 0;
  for (const Mat& m : rows) {
    const char *at = m.row(0), *const end = m.row(m.rows);
    while (at < end) {
      const cpu::Coming c = coming.take(kOutputs, kBytes);
      in_order = in_order && c.at == at && c.end > at && c.end <= end;
      enough = enough && kOutputs * c.per_output >= c.end - c.at;
      even = even && c.end - c.at <= 2 * kAll / kTimes + 1;
      if (!in_order) break;
      at = c.end;
      times++;
    }
  }
  report.expect(in_order, "unit: coming rows: each byte once and in order");
  report.expect(enough, "unit: coming rows: the outputs ask for all that was taken");
  report.expect(even && times <= kTimes, "unit: coming rows: spread over the weights beside them");
  report.expect(coming.take(kOutputs, kBytes).at == nullptr, "unit: coming rows: none when all were taken");
  coming.set(rows, 1, 810);
  const cpu::Coming first = coming.take(1, 1), second = coming.take(1, 1);
  report.expect(first.at == rows[0].row(0) && first.end == rows[0].row(40) && second.at == rows[2].row(0) && second.end == second.at + 10 &&
                    coming.take(1, 1).at == nullptr,
                "unit: coming rows: no more than the bytes that are to be kept");
}

void test_thread_pool(Report& report) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    const std::string label = "unit: pool of " + std::to_string(threads);
    report.expect(pool.threads() == threads, label + " says how many threads it has");
    bool once = true, numbered = true;
    // Many loops, of no task, of one, of fewer and of more than threads.
    for (int round = 0; round < 300; round++) {
      const int64_t tasks = std::vector<int64_t>{0, 1, 2, 3, 7, 100}[size_t(round % 6)];
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      std::atomic<bool> in_range{true};
      pool.run(tasks, [&](int64_t task, int thread) {
        runs[size_t(task)]++;
        if (thread < 0 || thread >= threads) in_range = false;
      });
      for (const auto& r : runs) once = once && r == 1;
      numbered = numbered && in_range;
    }
    report.expect(once, label + " runs every task once");

    // Whatever thread it comes from, the exception is the caller's, and the next loop is whole.
    bool thrown = true;
    for (int64_t bad : {0, 1, 50, 99}) {
      try {
        pool.run(100, [&](int64_t task, int) {
          if (task == bad) throw std::bad_alloc();
        });
        thrown = false;
      } catch (const std::bad_alloc&) {
      }
      std::atomic<int> done{0};
      pool.run(100, [&](int64_t, int) { done++; });
      thrown = thrown && done == 100;
    }
    report.expect(thrown, label + " throws what a task throws");
    report.expect(numbered, label + " numbers its threads");

    // Results are visible to the caller, and one loop's results to the next.
    std::vector<int64_t> values(1000);
    for (int64_t step = 0; step < 20; step++)
      pool.run(1000, [&](int64_t task, int) { values[size_t(999 - task)] += task + step; });
    int64_t sum = 0;
    for (const int64_t v : values) sum += v;
    report.expect(sum == 20 * 999 * 500 + 1000 * 190, label + " makes results visible", std::to_string(sum));
  }
}

void test_arena(Report& report) {
  Arena arena;
  const int64_t a = arena.reserve("first", 1), b = arena.reserve("second", 100), c = arena.reserve("first", 64);
  report.expect(a == 0 && b == 64 && c == 192, "unit: arena offsets are multiples of 64");
  report.expect(arena.items().size() == 2 && arena.items()[0].name == "first" && arena.items()[0].bytes == 128 &&
                    arena.items()[1].bytes == 128,
                "unit: arena adds up what has one name");
  report.expect(arena.total_bytes() == 256, "unit: arena's total is the sum of its items");
  arena.commit(host_memory(arena.total_bytes()));
  bool zero = true;
  for (int64_t i = 0; i < 256; i++) zero = zero && *arena.at<char>(i) == 0;
  report.expect(zero, "unit: arena memory is zero");
  report.expect(reinterpret_cast<uintptr_t>(arena.at(b)) % 64 == 0, "unit: arena memory is aligned");
  arena.at<char>(c)[63] = 1;
  std::string code;
  try {
    arena.reserve("late", 1);
  } catch (const Error& e) {
    code = e.code;
  }
  report.expect(code == "E_INTERNAL", "unit: arena refuses to grow after commit", code);

  Arena huge;
  huge.reserve("everything", int64_t(1) << 50);
  code.clear();
  try {
    huge.commit(host_memory(huge.total_bytes()));
  } catch (const Error& e) {
    code = e.code;
  }
  report.expect(code == "E_MEMORY", "unit: arena says when the system has no memory", code);
}

// Through the interface alone, as an engine uses the memory of any device.
void test_memory(Backend& backend, Report& report) {
  const std::string label = "unit: memory of " + backend.name();
  constexpr int64_t kElements = 1000;
  const lowrank::Memory memory = backend.allocate(kElements * 8);
  float* const x = static_cast<float*>(memory.data.get());
  const Buffer buffer(backend, x);
  report.expect(memory.bytes >= kElements * 8 && reinterpret_cast<uintptr_t>(x) % 64 == 0, label + " is aligned and large enough");
  std::vector<float> host(kElements, 1.f), found(kElements, 1.f);
  buffer.read(0, kElements * 4, found.data());
  report.expect(found == std::vector<float>(kElements, 0.f), label + " is zero");
  for (size_t i = 0; i < host.size(); i++) host[i] = float(i);
  buffer.write(0, kElements * 4, host.data());
  backend.cast({Mat(x, DType::f32, 1, kElements), Mat(x + kElements, DType::f32, 1, kElements)});
  buffer.read(kElements * 4, kElements * 4, found.data());
  report.expect(found == host, label + ": operations read what was uploaded, and their results are downloaded");
}

void test_large_pages(Report& report) {
  LargePages place(3 * kLargePage - 5), source(kLargePage);
  report.expect(place.bytes() == 3 * kLargePage && source.bytes() == kLargePage, "unit: large pages are whole");
  for (const LargePages* p : {&place, &source}) {
    report.expect(reinterpret_cast<uintptr_t>(p->data()) % uintptr_t(kLargePage) == 0, "unit: large pages are aligned");
    report.expect(*std::max_element(p->data(), p->data() + p->bytes()) == 0, "unit: large pages are zero");
  }
  std::fill_n(place.data(), place.bytes(), char(1));
  std::fill_n(source.data(), source.bytes(), char(2));
  report.expect(source.move_to(place.data() + kLargePage) && !source.data(), "unit: large pages are moved");
  bool moved = true;
  for (int64_t i = 0; i < place.bytes(); i++) moved = moved && place.data()[i] == (i / kLargePage == 1 ? 2 : 1);
  report.expect(moved, "unit: moved pages lie between those that were there");

  // Arrays of every size, small ones from the heap, more than a region holds, freed in another order than they were made.
  std::vector<LargePageVector<uint32_t>> arrays;
  std::vector<size_t> sizes = {1, 100, 16383, 16384, 16385, 70'000, 1'000'000, 20'000'000};
  bool alone = true;
  for (int round = 0; round < 4; round++) {
    for (const size_t n : sizes) arrays.emplace_back(n, uint32_t(arrays.size() + n));
    for (size_t i = round == 0 ? 0 : 1; i < arrays.size(); i += 2) arrays[i] = {};
    size_t i = 0;
    for (const auto& array : arrays) {
      const size_t n = sizes[i % sizes.size()];
      alone = alone && (array.empty() || (array.size() == n && array.front() == i + n && std::count(array.begin(), array.end(), array[0]) == int64_t(n)));
      alone = alone && reinterpret_cast<uintptr_t>(array.data()) % (n >= 16384 ? 64 : 4) == 0;
      i++;
    }
  }
  report.expect(alone, "unit: arrays in large pages are nobody else's");
}

}  // namespace lowrank::test
