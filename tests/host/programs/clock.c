/* Preloaded into a service, moves its clock by as many seconds as stand in the file of CLOCK_FILE.

   The file is 8 bytes, read at every call: whoever writes it moves the clocks of all that run. Clocks that no one can
   set, as the monotonic one, stay. What asks the kernel by itself, as programs in Go do, sees the machine's own time. */

typedef long number;
struct time { number seconds, parts; };

enum { READ = 1, SHARED = 1, REALTIME = 0, REALTIME_COARSE = 5 };
#define NEXT ((void *)-1)

extern void *dlsym(void *, const char *);
extern void *mmap(void *, unsigned long, int, int, int, number);
extern char *getenv(const char *);
extern int open(const char *, int, ...), close(int);

static number moved_by(void) {
  static volatile number *seconds;
  if (!seconds) {
    int file = open(getenv("CLOCK_FILE"), 0);
    seconds = mmap(0, sizeof *seconds, READ, SHARED, file, 0);
    close(file);
  }
  return *seconds;
}

int clock_gettime(int clock, struct time *now) {
  static int (*machines)(int, struct time *);
  if (!machines) machines = dlsym(NEXT, "clock_gettime");
  int failed = machines(clock, now);
  if (!failed && (clock == REALTIME || clock == REALTIME_COARSE)) now->seconds += moved_by();
  return failed;
}

int gettimeofday(struct time *now, void *zone) {
  clock_gettime(REALTIME, now);
  now->parts /= 1000;
  return 0;
}

number time(number *seconds) {
  struct time now;
  clock_gettime(REALTIME_COARSE, &now);
  if (seconds) *seconds = now.seconds;
  return now.seconds;
}
