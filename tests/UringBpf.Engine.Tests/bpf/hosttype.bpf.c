/* Programs of a type that the host defines (HostTypeTests): its context, its verdicts, its functions. */
#include "uring_bpf.h"

struct request {
    __u64 id;
    __u32 kind;
    __u32 tries;
    __u8 *data, *data_end;
    __u8 notes[16];
};

extern int request_route(struct request *request, __u32 to) __ksym;

SEC("request") int route(struct request *request)
{
    __u8 *p = request->data, *end = request->data_end;
    if (p + 2 > end)
        return 0;
    request->tries += 1;
    request->notes[p[0] & 15] = p[1];
    return request_route(request, request->kind);
}

SEC("request/late") int late(struct request *request) { return 1; }

SEC("request") int bad_verdict(struct request *request) { return request->kind; }

SEC("request") int bad_write(struct request *request)
{
    request->kind = 1;
    return 0;
}

SEC("request") int bad_data(struct request *request)
{
    request->data[0] = 1;
    return 0;
}

SEC("request") int bad_written_data(struct request *request)
{
    __u8 *p = request->data, *end = request->data_end;
    if (p + 1 > end)
        return 0;
    p[0] = 1;
    return 0;
}

SEC("request") int bad_notes(struct request *request)
{
    request->notes[request->tries & 31] = 1;
    return 0;
}

SEC("request") int bad_helper(struct request *request) { return bpf_get_prandom_u32() & 1; }

/* A function of requests, called by a program of another type. */
SEC("raw") int bad_type(void *context) { return request_route(context, 1); }
