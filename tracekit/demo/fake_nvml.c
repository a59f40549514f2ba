/* A stand-in for libnvidia-ml.so.1 on machines without a GPU, for tests and `tracekit demo --fake-gpu`.
 *
 * It plays a power trace: watts per GPU, constant from one line to the next, so that energy is exact. The file
 * named by TRACEKIT_FAKE_NVML says what to play and what fails; tracekit/demo/fake_gpu.py writes it and lists its
 * words. Time is CLOCK_MONOTONIC since `start_ns`, unless fake_set_time() has set it. Readings are what drivers
 * give: renewed every `update_ms`, the mean over the `window_ms` before that, or over `average_ms`.
 *
 * No header of NVIDIA's is used: layouts are those of nvidia-ml-py's ctypes structures.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };
enum { MAX_GPUS = 16, MAX_STEPS = 65536, MAX_EVENTS = 64, MAX_PROCESSES = 64 };
enum { FIELD_ENERGY = 83, FIELD_AVERAGE = 185, FIELD_INSTANT = 186, SCOPE_GPU = 0, SCOPE_MODULE = 1 };
enum { CLOCK_MEMORY = 2, TYPE_UINT = 1, TYPE_ULL = 3 };

typedef struct { int index; } Gpu;
typedef struct { char kind[32], function[64]; double value, from_s, until_s; int gpu; } Event;
typedef struct { int gpu; unsigned pid; unsigned long long bytes; } Process;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } ProcessInfo;
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    uint32_t type, code;
    union { double d; unsigned u; unsigned long long ull; } value;
} FieldValue;

static struct {
    int gpus, scope, mig[MAX_GPUS], usage_is_instant, counter_is_sampled;
    int64_t start_ns;
    double update_s, window_s, average_s, limit_w, busy_w, counter_start_j, counter_gain;
    unsigned long long memory_total, memory_used;
    char name[96], driver[80];
    int steps, events, processes;
    double step_s[MAX_STEPS], watts[MAX_STEPS][MAX_GPUS], energy_j[MAX_STEPS][MAX_GPUS];
    Event event[MAX_EVENTS];
    Process process[MAX_PROCESSES];
} play;
static Gpu gpu_handles[MAX_GPUS];
static int users = 0;
static double set_time_s = NAN;

/* ---- what is played ---- */

static int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

void fake_set_time(double seconds) { set_time_s = seconds; }

static double now_s(void) { return isnan(set_time_s) ? (monotonic_ns() - play.start_ns) * 1e-9 : set_time_s; }

static void add_step(char *line) {
    int step = play.steps;
    if (step >= MAX_STEPS) return;
    play.step_s[step] = strtod(line, &line);
    for (int gpu = 0; gpu < play.gpus; gpu++) {
        play.watts[step][gpu] = strtod(line, &line);
        double before_j = step ? play.energy_j[step - 1][gpu] : 0;
        double before_s = step ? play.step_s[step] - play.step_s[step - 1] : 0;
        play.energy_j[step][gpu] = before_j + (step ? play.watts[step - 1][gpu] * before_s : 0);
    }
    play.steps++;
}

static void add_event(const char *kind, const char *line) {
    Event *event = &play.event[play.events];
    char until[32] = "inf";
    if (play.events >= MAX_EVENTS) return;
    snprintf(event->kind, sizeof event->kind, "%s", kind);
    if (sscanf(line, "%63s %lf %d %lf %31s", event->function, &event->value, &event->gpu, &event->from_s, until) < 4)
        return;
    event->until_s = strtod(until, NULL);
    play.events++;
}

static void read_line(char *line) {
    char word[32];
    int end = 0, gpu = 0;
    if (sscanf(line, "%31s %n", word, &end) < 1 || word[0] == '#') return;
    char *rest = line + end;
    rest[strcspn(rest, "\n")] = 0;
    if (!strcmp(word, "t")) add_step(rest);
    else if (!strcmp(word, "fault") || !strcmp(word, "hang") || !strcmp(word, "jump") || !strcmp(word, "reset"))
        add_event(word, rest);
    else if (!strcmp(word, "gpus")) play.gpus = atoi(rest) < MAX_GPUS ? atoi(rest) : MAX_GPUS;
    else if (!strcmp(word, "start_ns")) play.start_ns = atoll(rest);
    else if (!strcmp(word, "update_ms")) play.update_s = atof(rest) / 1000;
    else if (!strcmp(word, "window_ms")) play.window_s = atof(rest) / 1000;
    else if (!strcmp(word, "average_ms")) play.average_s = atof(rest) / 1000;
    else if (!strcmp(word, "limit_w")) play.limit_w = atof(rest);
    else if (!strcmp(word, "busy_w")) play.busy_w = atof(rest);
    else if (!strcmp(word, "usage")) play.usage_is_instant = !strcmp(rest, "instant");
    else if (!strcmp(word, "scope")) play.scope = strcmp(rest, "module") ? SCOPE_GPU : SCOPE_MODULE;
    else if (!strcmp(word, "name")) snprintf(play.name, sizeof play.name, "%s", rest);
    else if (!strcmp(word, "driver")) snprintf(play.driver, sizeof play.driver, "%s", rest);
    else if (!strcmp(word, "counter_sampled")) play.counter_is_sampled = atoi(rest);
    else if (!strcmp(word, "counter")) sscanf(rest, "%lf %lf", &play.counter_start_j, &play.counter_gain);
    else if (!strcmp(word, "memory")) sscanf(rest, "%llu %llu", &play.memory_total, &play.memory_used);
    else if (!strcmp(word, "mig") && sscanf(rest, "%d", &gpu) == 1 && gpu >= 0 && gpu < MAX_GPUS) play.mig[gpu] = 1;
    else if (!strcmp(word, "process") && play.processes < MAX_PROCESSES) {
        Process *process = &play.process[play.processes];
        if (sscanf(rest, "%d %u %llu", &process->gpu, &process->pid, &process->bytes) == 3) play.processes++;
    }
}

static int load(void) {
    const char *path = getenv("TRACEKIT_FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4096];
    if (!file) return UNKNOWN;
    memset(&play, 0, sizeof play);
    play.gpus = 1, play.update_s = 0.1, play.window_s = 0.025, play.average_s = 1;
    play.limit_w = 700, play.busy_w = 150, play.counter_gain = 1, play.start_ns = monotonic_ns();
    play.memory_total = 85520809984ULL, play.memory_used = 1073741824ULL;
    snprintf(play.name, sizeof play.name, "tracekit fake GPU");
    snprintf(play.driver, sizeof play.driver, "0.0 (fake)");
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
    for (int gpu = 0; gpu < MAX_GPUS; gpu++) gpu_handles[gpu].index = gpu;
    return OK;
}

/* ---- power and energy at a time ---- */

/* The step that holds at a time, or the first. */
static int step_at(double t) {
    int low = 0, high = play.steps - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (play.step_s[middle] <= t) low = middle;
        else high = middle - 1;
    }
    return low;
}

static double energy_j(int gpu, double t) {
    if (!play.steps || t <= play.step_s[0]) return 0;
    int low = step_at(t);
    return play.energy_j[low][gpu] + play.watts[low][gpu] * (t - play.step_s[low]);
}

static double mean_w(int gpu, double from_s, double until_s) {
    if (from_s < 0) from_s = 0;
    if (until_s - from_s < 1e-6) from_s = until_s, until_s += 1e-6;
    return (energy_j(gpu, until_s) - energy_j(gpu, from_s)) / (until_s - from_s);
}

/* When the readings were last renewed; the little more keeps a time on an update on it. */
static double updated_s(void) { return play.update_s ? floor(now_s() / play.update_s + 1e-9) * play.update_s : now_s(); }

static double instant_w(int gpu) { return mean_w(gpu, updated_s() - play.window_s, updated_s()); }

static double average_w(int gpu) { return mean_w(gpu, updated_s() - play.average_s, updated_s()); }

static double counted_j(int gpu, double until_s) {
    double sum = 0;
    if (!play.counter_is_sampled || !play.update_s) return energy_j(gpu, until_s);
    for (int update = 1; update * play.update_s <= until_s + 1e-9; update++)
        sum += play.update_s * mean_w(gpu, update * play.update_s - play.window_s, update * play.update_s);
    return sum;
}

static unsigned long long counter_mj(int gpu) {
    double until_s = updated_s(), before_j = 0, more_j = play.counter_start_j;
    for (int i = 0; i < play.events; i++) {
        Event *event = &play.event[i];
        if (event->gpu != gpu || event->from_s > until_s) continue;
        if (!strcmp(event->kind, "reset")) before_j = counted_j(gpu, event->from_s), more_j = 0;
        if (!strcmp(event->kind, "jump")) more_j += event->value;
    }
    double counter_j = (counted_j(gpu, until_s) - before_j) * play.counter_gain + more_j;
    return counter_j > 0 ? (unsigned long long)(counter_j * 1000 + 1e-6) : 0;
}

static unsigned busy_percent(int gpu) {
    double until_s = updated_s(), busy_s = 0, from_s = until_s - play.average_s;
    for (int step = step_at(from_s); step < play.steps && play.step_s[step] < until_s; step++) {
        double end_s = step + 1 < play.steps ? play.step_s[step + 1] : until_s;
        double low = fmax(from_s, play.step_s[step]), high = fmin(until_s, end_s);
        if (high > low && play.watts[step][gpu] >= play.busy_w) busy_s += high - low;
    }
    return (unsigned)lround(100 * busy_s / play.average_s);
}

/* ---- what fails ---- */

static void sleep_through(double seconds) {
    struct timespec left = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    while (nanosleep(&left, &left) && errno == EINTR) {} /* as a driver would: no signal wakes it */
}

static int enter(const char *function, int gpu) {
    for (int i = 0; i < play.events; i++) {
        Event *event = &play.event[i];
        int named = !strcmp(event->function, function) || (gpu >= 0 && !strcmp(event->function, "*"));
        double t = now_s();
        if (!named || (event->gpu >= 0 && event->gpu != gpu) || t < event->from_s || t >= event->until_s) continue;
        if (!strcmp(event->kind, "hang")) sleep_through(event->value);
        if (!strcmp(event->kind, "fault")) return (int)event->value;
    }
    return OK;
}

#define DEVICE(device) \
    int gpu = (device) ? (device)->index : -1; \
    int failed = !users ? UNINITIALIZED : gpu < 0 ? INVALID_ARGUMENT : enter(__func__, gpu); \
    if (failed) return failed

/* ---- the library ---- */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (users == 0 && load() != OK) return UNKNOWN;
    int failed = enter(__func__, -1);
    if (!failed) users++;
    return failed;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) { return users ? (users--, OK) : UNINITIALIZED; }

const char *nvmlErrorString(int code) {
    static char text[32];
    snprintf(text, sizeof text, "fake NVML error %d", code);
    return text;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    if (!users) return UNINITIALIZED;
    snprintf(text, size, "%s", play.driver);
    return enter(__func__, -1);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (!users) return UNINITIALIZED;
    *count = (unsigned)play.gpus;
    return enter(__func__, -1);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **device) {
    if (!users) return UNINITIALIZED;
    if ((int)index >= play.gpus) return INVALID_ARGUMENT;
    *device = &gpu_handles[index];
    return enter(__func__, (int)index);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Gpu **device) {
    const char *number = strrchr(uuid, '-');
    return nvmlDeviceGetHandleByIndex_v2(number ? (unsigned)atoi(number + 1) : MAX_GPUS, device);
}

int nvmlDeviceGetName(Gpu *device, char *text, unsigned size) {
    DEVICE(device);
    snprintf(text, size, "%s", play.name);
    return OK;
}

int nvmlDeviceGetUUID(Gpu *device, char *text, unsigned size) {
    DEVICE(device);
    snprintf(text, size, "GPU-fake0000-0000-0000-0000-%012d", gpu);
    return OK;
}

int nvmlDeviceGetMigMode(Gpu *device, unsigned *current, unsigned *pending) {
    DEVICE(device);
    *current = *pending = (unsigned)play.mig[gpu];
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(Gpu *device, unsigned long long *mj) {
    DEVICE(device);
    *mj = counter_mj(gpu);
    return OK;
}

int nvmlDeviceGetPowerUsage(Gpu *device, unsigned *mw) {
    DEVICE(device);
    *mw = (unsigned)lround(1000 * (play.usage_is_instant ? instant_w(gpu) : average_w(gpu)));
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(Gpu *device, unsigned *mw) {
    DEVICE(device);
    *mw = (unsigned)lround(1000 * play.limit_w);
    return OK;
}

int nvmlDeviceGetFieldValues(Gpu *device, int count, FieldValue *values) {
    DEVICE(device);
    for (int i = 0; i < count; i++) {
        FieldValue *value = &values[i];
        char name[64];
        snprintf(name, sizeof name, "field:%u", value->field);
        value->code = (uint32_t)enter(name, gpu);
        value->type = TYPE_UINT;
        if (value->code) continue;
        if (value->field == FIELD_ENERGY) value->type = TYPE_ULL, value->value.ull = counter_mj(gpu);
        else if ((int)value->scope != play.scope) value->code = NOT_SUPPORTED;
        else if (value->field == FIELD_INSTANT) value->value.u = (unsigned)lround(1000 * instant_w(gpu));
        else if (value->field == FIELD_AVERAGE) value->value.u = (unsigned)lround(1000 * average_w(gpu));
        else value->code = NOT_SUPPORTED;
    }
    return OK;
}

int nvmlDeviceGetUtilizationRates(Gpu *device, Utilization *rates) {
    DEVICE(device);
    if (play.mig[gpu]) return NOT_SUPPORTED;
    rates->gpu = busy_percent(gpu), rates->memory = busy_percent(gpu) / 2;
    return OK;
}

int nvmlDeviceGetMemoryInfo(Gpu *device, Memory *memory) {
    DEVICE(device);
    memory->total = play.memory_total, memory->used = play.memory_used;
    memory->free = memory->total - memory->used;
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *device, unsigned *count, ProcessInfo *found) {
    DEVICE(device);
    unsigned room = *count, here = 0;
    for (int i = 0; i < play.processes; i++) {
        if (play.process[i].gpu != gpu) continue;
        if (found && here < room) found[here] = (ProcessInfo){play.process[i].pid, play.process[i].bytes, ~0u, ~0u};
        here++;
    }
    *count = here;
    return here > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlDeviceGetClockInfo(Gpu *device, unsigned type, unsigned *mhz) {
    DEVICE(device);
    *mhz = type == CLOCK_MEMORY ? 2619 : average_w(gpu) >= play.busy_w ? 1980 : 345;
    return OK;
}

int nvmlDeviceGetTemperature(Gpu *device, unsigned sensor, unsigned *celsius) {
    DEVICE(device);
    (void)sensor;
    *celsius = (unsigned)lround(30 + 50 * average_w(gpu) / play.limit_w);
    return OK;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Gpu *device, unsigned long long *reasons) {
    DEVICE(device);
    double watts = average_w(gpu); /* the bits are NVML's: 1 idle, 4 software power cap */
    *reasons = watts < play.busy_w ? 1 : watts >= play.limit_w * 0.99 ? 4 : 0;
    return OK;
}
