// Recorded passes on a device that may record no more.
#include "cuda/repeats.h"
#include "modes.h"

namespace lowrank::test {

namespace {

class Recorder final : public cuda::Device {
 public:
  explicit Recorder(int most) : left_(most) {}
  std::string name() const override { return "recorder"; }
  std::string identity() const override { return name(); }
  std::shared_ptr<void> allocate(int64_t) override { return {}; }
  void upload(const void*, int64_t, void*) override {}
  void download(const void*, int64_t, void*) override {}
  void copy_beside(const void*, int64_t, void*) override {}
  void mark(int, Queue) override {}
  void await(int, Queue) override {}
  void await(int) override {}
  void wait() override {}
  bool is_done() override { return true; }
  void product(const cuda::Product&) override {}
  void product(const cuda::CodeProduct&) override {}
  Recording record(const std::function<void()>&) override {
    if (left_-- <= 0) return {};
    const auto recorded = std::make_shared<int>(0);
    kept.push_back(recorded);
    return {recorded, 1};
  }
  void replay(const Recording&) override {}
  cuda::Stream stream() const override { return nullptr; }

  std::vector<std::weak_ptr<int>> kept;

 private:
  int left_;
};

}  // namespace

void test_repeats(Report& report) {
  Recorder device(2);
  cuda::Repeats repeats(device);
  int enqueued = 0;
  const auto run = [&](int64_t shape) { repeats.run({shape}, [&] { enqueued++; }); };
  for (const int64_t shape : {1, 1, 2, 2}) run(shape);
  report.expect(enqueued == 2 && repeats.replayed() == 2 && device.kept.size() == 2 && !device.kept[0].expired() && !device.kept[1].expired(), "repeats: the second pass of a shape is recorded");
  for (const int64_t shape : {3, 3, 1, 2}) run(shape);
  report.expect(enqueued == 6 && repeats.replayed() == 2, "repeats: after a recording that fails all passes are enqueued", std::to_string(enqueued) + " are");
  report.expect(device.kept[0].expired() && device.kept[1].expired(), "repeats: and no recording is kept");
}

}  // namespace lowrank::test
