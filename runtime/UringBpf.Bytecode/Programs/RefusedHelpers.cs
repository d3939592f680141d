using System.Collections.Frozen;

namespace UringBpf.Bytecode;

/// <summary>
/// Helpers of the Linux ABI that this engine knows and refuses, with the reason: what a message says in place of "unknown
/// helper". Numbers as in <c>include/uapi/linux/bpf.h</c>.
/// </summary>
public static class RefusedHelpers
{
    private const string Probe = "reads or writes arbitrary addresses; a hook has only the memory it was granted";
    private const string Resize = "changes the packet's bounds; the buffer belongs to the host and cannot grow or shrink";
    private const string Redirect = "needs a network device; packets here are buffers of the host";
    private const string Rewrite = "needs the kernel's packet structure; read and write the packet through data and data_end";
    private const string Timer = "runs a callback outside any completion; use uring_timeout, whose completion runs the hook";
    private const string Task = "needs the kernel's task structures";
    private const string Perf = "needs perf events; use a ring buffer map";
    private const string Dynptr = "dynamic pointers are not supported; use bpf_ringbuf_reserve or plain memory";
    private const string Socket = "needs the kernel's sockets";
    private const string Storage = "needs kernel-owned local storage; use a hash map";

    private static readonly FrozenDictionary<int, (string Name, string Reason)> s_helpers = new Dictionary<int, (string, string)>
    {
        [4] = ("bpf_probe_read", Probe),
        [9] = ("bpf_skb_store_bytes", Rewrite),
        [10] = ("bpf_l3_csum_replace", Rewrite),
        [11] = ("bpf_l4_csum_replace", Rewrite),
        [13] = ("bpf_clone_redirect", Redirect),
        [18] = ("bpf_skb_vlan_push", Resize),
        [19] = ("bpf_skb_vlan_pop", Resize),
        [22] = ("bpf_perf_event_read", Perf),
        [23] = ("bpf_redirect", Redirect),
        [25] = ("bpf_perf_event_output", Perf),
        [27] = ("bpf_get_stackid", Task),
        [31] = ("bpf_skb_change_proto", Resize),
        [35] = ("bpf_get_current_task", Task),
        [36] = ("bpf_probe_write_user", Probe),
        [38] = ("bpf_skb_change_tail", Resize),
        [39] = ("bpf_skb_pull_data", Rewrite),
        [43] = ("bpf_skb_change_head", Resize),
        [44] = ("bpf_xdp_adjust_head", Resize),
        [45] = ("bpf_probe_read_str", Probe),
        [46] = ("bpf_get_socket_cookie", Socket),
        [47] = ("bpf_get_socket_uid", Socket),
        [49] = ("bpf_setsockopt", Socket),
        [50] = ("bpf_skb_adjust_room", Resize),
        [51] = ("bpf_redirect_map", Redirect),
        [54] = ("bpf_xdp_adjust_meta", Resize),
        [55] = ("bpf_perf_event_read_value", Perf),
        [57] = ("bpf_getsockopt", Socket),
        [58] = ("bpf_override_return", "changes a kernel function's result"),
        [65] = ("bpf_xdp_adjust_tail", Resize),
        [67] = ("bpf_get_stack", Task),
        [69] = ("bpf_fib_lookup", Redirect),
        [80] = ("bpf_get_current_cgroup_id", Task),
        [81] = ("bpf_get_local_storage", Storage),
        [84] = ("bpf_sk_lookup_tcp", Socket),
        [85] = ("bpf_sk_lookup_udp", Socket),
        [86] = ("bpf_sk_release", Socket),
        [107] = ("bpf_sk_storage_get", Storage),
        [108] = ("bpf_sk_storage_delete", Storage),
        [109] = ("bpf_send_signal", Task),
        [111] = ("bpf_skb_output", Perf),
        [112] = ("bpf_probe_read_user", Probe),
        [113] = ("bpf_probe_read_kernel", Probe),
        [114] = ("bpf_probe_read_user_str", Probe),
        [115] = ("bpf_probe_read_kernel_str", Probe),
        [121] = ("bpf_xdp_output", Perf),
        [126] = ("bpf_seq_printf", "needs a kernel iterator; use bpf_trace_printk or a ring buffer map"),
        [127] = ("bpf_seq_write", "needs a kernel iterator; use a ring buffer map"),
        [141] = ("bpf_get_task_stack", Task),
        [147] = ("bpf_d_path", Task),
        [148] = ("bpf_copy_from_user", Probe),
        [149] = ("bpf_snprintf_btf", "prints kernel types; use bpf_snprintf"),
        [153] = ("bpf_per_cpu_ptr", "needs the kernel's per-CPU variables; use bpf_map_lookup_percpu_elem"),
        [154] = ("bpf_this_cpu_ptr", "needs the kernel's per-CPU variables; use bpf_map_lookup_elem on a per-CPU map"),
        [156] = ("bpf_task_storage_get", Storage),
        [157] = ("bpf_task_storage_delete", Storage),
        [158] = ("bpf_get_current_task_btf", Task),
        [166] = ("bpf_sys_bpf", "makes system calls"),
        [168] = ("bpf_sys_close", "makes system calls"),
        [169] = ("bpf_timer_init", Timer),
        [170] = ("bpf_timer_set_callback", Timer),
        [171] = ("bpf_timer_start", Timer),
        [172] = ("bpf_timer_cancel", Timer),
        [173] = ("bpf_get_func_ip", Task),
        [174] = ("bpf_get_attach_cookie", "programs are attached by the host; pass data through the chain's scratch memory"),
        [179] = ("bpf_kallsyms_lookup_name", Probe),
        [191] = ("bpf_copy_from_user_task", Probe),
        [194] = ("bpf_kptr_xchg", "kernel pointers cannot be stored in maps here"),
        [197] = ("bpf_dynptr_from_mem", Dynptr),
        [198] = ("bpf_ringbuf_reserve_dynptr", Dynptr),
        [199] = ("bpf_ringbuf_submit_dynptr", Dynptr),
        [200] = ("bpf_ringbuf_discard_dynptr", Dynptr),
        [201] = ("bpf_dynptr_read", Dynptr),
        [202] = ("bpf_dynptr_write", Dynptr),
        [203] = ("bpf_dynptr_data", Dynptr),
        [209] = ("bpf_user_ringbuf_drain", "user ring buffers are not supported; use a queue map"),
    }.ToFrozenDictionary();

    /// <summary>The name of a refused helper and why, or null when the number is unknown or the helper is offered.</summary>
    /// <param name="id">The helper number.</param>
    public static (string Name, string Reason)? Find(int id) => s_helpers.TryGetValue(id, out var found) ? found : null;
}
