// A group over MPI: the library that native/group/groups.cpp opens.
#include "group/plugin.h"

#include <mutex>

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include "base/error.h"

namespace {

using namespace lowrank;

class Mpi : public Group {
 public:
  Mpi() {
    int is_begun = 0, has_ended = 0, provided = 0;
    MPI_Initialized(&is_begun);
    MPI_Finalized(&has_ended);
    if (is_begun || has_ended) throw Error("E_GROUP", "MPI: a process is part of one group only, and cannot join it again once it has left.", "group");
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "beginning");
    if (provided < MPI_THREAD_SERIALIZED) throw Error("E_GROUP", "MPI: this library cannot be called by a thread that is not the first (MPI_THREAD_SERIALIZED).", "group");
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "beginning");
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "beginning");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "beginning");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &sums_), "beginning");
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void finish() override {
    make(Channel::calls, "the end", [](MPI_Request* r) { return MPI_Ibarrier(MPI_COMM_WORLD, r); });
    const std::lock_guard lock(mutex_);
    check(MPI_Finalize(), "the end");
  }
  void abort() override { MPI_Abort(MPI_COMM_WORLD, 1); }

 protected:
  void exchange(const float* parts, const std::vector<int>& counts, float* received) override {
    const int own = counts[size_t(rank_)];
    std::vector<int> from, to;
    int sent = 0;
    for (int r = 0; r < size_; r++) {
      from.push_back(sent);
      to.push_back(r * own);
      sent += counts[size_t(r)];
    }
    const std::vector<int> owns(size_t(size_), own);
    make(Channel::sums, "an exchange of gradients", [&](MPI_Request* r) {
      return MPI_Ialltoallv(parts, counts.data(), from.data(), MPI_FLOAT, received, owns.data(), to.data(), MPI_FLOAT, sums_, r);
    });
  }
  void gather(Channel channel, const void* mine, const std::vector<int>& counts, void* all) override {
    std::vector<int> places;
    int at = 0;
    for (const int c : counts) {
      places.push_back(at);
      at += c;
    }
    const bool is_there = mine == static_cast<char*>(all) + places[size_t(rank_)];
    make(channel, "gathering", [&](MPI_Request* r) {
      return MPI_Iallgatherv(is_there ? MPI_IN_PLACE : mine, counts[size_t(rank_)], MPI_BYTE, all, counts.data(), places.data(), MPI_BYTE,
                             channel == Channel::sums ? sums_ : MPI_COMM_WORLD, r);
    });
  }
  void broadcast(void* data, int bytes) override {
    make(Channel::calls, "a broadcast", [&](MPI_Request* r) { return MPI_Ibcast(data, bytes, MPI_BYTE, 0, MPI_COMM_WORLD, r); });
  }

 private:
  // Starts an operation of all ranks and waits for its end. MPI is called by one thread at a time, and by none for long: the others' messages
  // go on in each call.
  template <class Start>
  void make(Channel channel, const char* what, Start start) {
    const auto begin = std::chrono::steady_clock::now();
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const std::lock_guard lock(mutex_);
      check(start(&request), what);
    }
    for (;;) {
      int is_done = 0;
      {
        const std::lock_guard lock(mutex_);
        check(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE), what);
      }
      if (is_done) return;
      rest(channel, begin);
    }
  }

  void check(int code, const char* what) const {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error("E_GROUP", "MPI: " + std::string(what) + " failed on rank " + std::to_string(rank_) + " of " + std::to_string(size_) + ": " + std::string(text, size_t(length)) + ".", "group");
  }

  int rank_ = 0, size_ = 1;
  MPI_Comm sums_ = MPI_COMM_NULL;  // of sums alone: operations are matched by their order in one of these
  std::mutex mutex_;
};

std::unique_ptr<Group> make() { return std::make_unique<Mpi>(); }

constexpr GroupPlugin kPlugin = {LOWRANK_INTERFACE, make};

}  // namespace

extern "C" __attribute__((visibility("default"))) const GroupPlugin* lowrank_group_plugin() { return &kPlugin; }
