// A group over MPI: the library that native/group/groups.cpp opens.
#include "group/plugin.h"

#include <mutex>
#include <thread>

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
    check(MPI_Comm_dup(MPI_COMM_WORLD, &questions_), "beginning");
    constexpr size_t kLongest = MPI_MAX_PROCESSOR_NAME;
    char name[kLongest] = "";
    int length = 0;
    check(MPI_Get_processor_name(name, &length), "beginning");
    std::vector<char> names(kLongest * size_t(size_));
    Mpi::gather(Channel::calls, name, std::vector<int>(size_t(size_), int(kLongest)), names.data());
    for (size_t r = 0; r < size_t(size_); r++) hosts_.emplace_back(names.data() + r * kLongest);
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
        if (!is_done && waits(channel, begin) > std::chrono::milliseconds(100)) answer();
      }
      if (is_done) return;
      if (waits(channel, begin) > limit()) throw Error("E_TIMEOUT", problem(what), "ddp_timeout");
      rest(channel, begin);
    }
  }

  // Who waits answers the questions of others, so that each finds out who does not.
  enum Question { asks, answers };
  void send(Question question, int rank) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Isend(nullptr, 0, MPI_BYTE, rank, question, questions_, &request), "asking");
    check(MPI_Request_free(&request), "asking");
  }
  // The rank that has sent this, or -1.
  int receive(Question question) {
    int is_any = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, question, questions_, &is_any, &status), "asking");
    if (!is_any) return -1;
    check(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, question, questions_, MPI_STATUS_IGNORE), "asking");
    return status.MPI_SOURCE;
  }
  void answer() {
    for (int rank; (rank = receive(asks)) >= 0;) send(answers, rank);
  }

  // Of an operation that has taken too long: asks all, and names those that do not answer within some seconds.
  std::string problem(const char* what) {
    std::vector<bool> is_silent(size_t(size_), true);
    is_silent[size_t(rank_)] = false;
    {
      const std::lock_guard lock(mutex_);
      for (int r = 0; r < size_; r++) {
        if (r != rank_) send(asks, r);
      }
    }
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2); std::chrono::steady_clock::now() < end;) {
      {
        const std::lock_guard lock(mutex_);
        answer();
        for (int rank; (rank = receive(answers)) >= 0;) is_silent[size_t(rank)] = false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::string silent;
    constexpr int kMostNamed = 8;
    int count = 0;
    for (int r = 0; r < size_; r++) {
      if (is_silent[size_t(r)] && count++ < kMostNamed) silent += (silent.empty() ? "" : ", ") + place(r);
    }
    if (count > kMostNamed) silent += " and " + std::to_string(count - kMostNamed) + " more";
    const std::string waited = place(rank_) + " has waited for " + std::string(what) + " for longer than --ddp_timeout, ";
    if (silent.empty()) return waited + "though all ranks answer: the network is too slow, or loses messages.";
    return waited + "and there is no answer from " + silent + ": it hangs, or its step takes longer.";
  }

  std::string place(int rank) const { return "rank " + std::to_string(rank) + " on " + hosts_[size_t(rank)]; }

  void check(int code, const char* what) const {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error("E_GROUP", "MPI: " + std::string(what) + " failed on rank " + std::to_string(rank_) + " of " + std::to_string(size_) + ": " + std::string(text, size_t(length)) + ".", "group");
  }

  int rank_ = 0, size_ = 1;
  MPI_Comm sums_ = MPI_COMM_NULL;  // of sums alone: operations are matched by their order in one of these
  MPI_Comm questions_ = MPI_COMM_NULL;
  std::vector<std::string> hosts_;  // of each rank
  std::mutex mutex_;
};

std::unique_ptr<Group> make() { return std::make_unique<Mpi>(); }

constexpr GroupPlugin kPlugin = {LOWRANK_INTERFACE, make};

}  // namespace

extern "C" __attribute__((visibility("default"))) const GroupPlugin* lowrank_group_plugin() { return &kPlugin; }
