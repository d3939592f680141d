using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

// Policy hooks: what judges an operation before it is submitted.
public sealed unsafe partial class Ring
{
    private PolicyLink[] _policies = [];
    private int _policyCount;
    // Those that judge what they are given with. Once there was one, an operation may name it, though it is gone.
    private readonly HashSet<PolicyLink> _givenPolicies = [];
    private bool _givesPolicies;
    // Those of chains that messages started, by the chain's number.
    private readonly Dictionary<ulong, PolicyLink> _givenByMessage = [];
    // Policies run while a hook is inside uring_submit: on a stack of their own.
    private ExecutionState* _policyState;
    private UringSubmission* _submission;

    /// <summary>
    /// Attaches a policy to the ring: from now on its program judges every operation that the host or a hook is about to submit.
    /// Where there are several, each must allow; those of the ring are asked first, in the order in which they were attached.
    /// </summary>
    /// <param name="program">A program of type submission (<c>SEC("uring/submit")</c>): 0 allows, -errno refuses. The link keeps it alive.</param>
    /// <param name="operations">Operations to judge; default: all.</param>
    /// <remarks>An operation of the host that is refused completes with the errno, and one of a chain gives it to <c>uring_submit</c>; neither
    /// reaches the kernel. What is in flight already, cancelling, and closing the files of a chain that ends are not judged.</remarks>
    /// <exception cref="BpfException">UB4502 when the program is of another type; UB4503 when the ring is shut down; UB4511 when there is no such operation.</exception>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public PolicyLink AttachPolicy(BpfProgram program, ImmutableArray<IoUringOp> operations = default) => AttachPolicy(null, program, operations);

    /// <summary>
    /// Makes a policy that judges nothing by itself: it is given with single operations (<see cref="SubmitAsync(in Sqe, PolicyLink, CancellationToken)"/>)
    /// and chains (<see cref="HookLink.StartAsync(UringOp, ReadOnlySpan{byte}, PolicyLink, CancellationToken)"/>), and judges those, after all others. Once it is
    /// disposed, they are refused with -ECANCELED.
    /// </summary>
    /// <param name="program">A program of type submission (<c>SEC("uring/submit")</c>): 0 allows, -errno refuses. The link keeps it alive.</param>
    /// <param name="operations">Operations to judge, of those it is given with; default: all.</param>
    /// <exception cref="BpfException">UB4502 when the program is of another type; UB4503 when the ring is shut down; UB4511 when there is no such operation.</exception>
    /// <exception cref="ObjectDisposedException">The program was disposed.</exception>
    public PolicyLink CreatePolicy(BpfProgram program, ImmutableArray<IoUringOp> operations = default)
    {
        PolicyProgram.Check(program);
        var link = new PolicyLink(this, null, operations, given: true);
        DoOnOwner(() =>
        {
            if (_stopping) throw new BpfException("UB4503", "the ring is shut down.");
            link.Current = new PolicyProgram(program, _recorder);
            PreparePolicies();
            _givenPolicies.Add(link);
            _givesPolicies = true;
        });
        return link;
    }

    private void PreparePolicies()
    {
        if (_policyState != null) return;
        _policyState = ExecutionSlot.Allocate();
        _submission = (UringSubmission*)NativeMemory.AllocZeroed((nuint)sizeof(UringSubmission));
    }

    internal PolicyLink AttachPolicy(HookLink? hook, BpfProgram program, ImmutableArray<IoUringOp> operations)
    {
        PolicyProgram.Check(program);
        var link = new PolicyLink(this, hook, operations);
        DoOnOwner(() =>
        {
            if (_stopping || hook is { Detaching: true }) throw new BpfException("UB4503", hook == null ? "the ring is shut down." : "the hook is detached.");
            link.Current = new PolicyProgram(program, _recorder);
            PreparePolicies();
            if (hook != null) hook.Policies = [.. hook.Policies, link];
            else _policies = [.. _policies, link];
            _policyCount++;
        });
        return link;
    }

    internal void Detach(PolicyLink policy, HookLink? hook)
    {
        if (policy.Current == null) return;
        if (_givenPolicies.Remove(policy))
        {
            policy.Release();
            return;
        }
        if (hook != null) hook.Policies = [.. hook.Policies.Where(other => other != policy)];
        else _policies = [.. _policies.Where(other => other != policy)];
        policy.Release();
        _policyCount--;
    }

    /// <summary>The hook is gone, and what judged its chains.</summary>
    internal void ReleasePolicies(HookLink hook)
    {
        foreach (var policy in hook.Policies) policy.Release();
        _policyCount -= hook.Policies.Length;
        hook.Policies = [];
    }

    private void FreePolicies()
    {
        foreach (var policy in _policies) policy.Release();
        foreach (var policy in _givenPolicies) policy.Release();
        _policyCount -= _policies.Length;
        _policies = [];
        _givenPolicies.Clear();
        NativeMemory.AlignedFree(_policyState);
        NativeMemory.Free(_submission);
        _policyState = null;
        _submission = null;
    }

    /// <summary>Policies that are attached, to the ring and to hooks.</summary>
    internal int Policies => _policyCount + _givenPolicies.Count;

    /// <summary>True when an operation must be judged before it goes out.</summary>
    internal bool HasPolicies
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _policyCount > 0 || _givesPolicies;
    }

    /// <summary>The policy that a chain was given with, or that of the chain whose message started it; or null.</summary>
    internal PolicyLink? GivenWith(Chain* chain)
    {
        if (!_givesPolicies) return null;
        // It goes with whoever waits for the chain.
        return chain->Host >= 0 ? _chainWaiting[chain->Host]?.Policy : _givenByMessage.GetValueOrDefault(chain->Id);
    }

    /// <summary>Judges an operation of a chain whose entry is filled in: 0 or -errno.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal int Judge(Chain* chain, HookLink link, in UringOp op, UringVector* vectors, Sqe* entry)
    {
        var given = GivenWith(chain);
        if (_policies.Length == 0 && link.Policies.Length == 0 && given == null) return 0;
        var submission = _submission;
        submission->Opcode = (uint)op.Opcode;
        submission->Flags = op.OpFlags;
        submission->Length = op.Length;
        // Sockets are made for and connected to a granted address: its index.
        submission->Offset = op.Opcode is IoUringOp.Socket or IoUringOp.Connect or IoUringOp.Bind or IoUringOp.SendMsg ? op.Path : op.Offset;
        submission->UserData = op.UserData;
        var two = op.Opcode is IoUringOp.RenameAt or IoUringOp.LinkAt;
        var named = two || op.Opcode is IoUringOp.OpenAt or IoUringOp.StatX or IoUringOp.UnlinkAt or IoUringOp.MkdirAt;
        // As the host's: the second directory.
        if (two) submission->Length = (uint)op.Target;
        submission->File = op.Opcode is IoUringOp.Nop or IoUringOp.Timeout or IoUringOp.LinkTimeout or IoUringOp.Socket || named ? -1 : op.File;
        submission->Target = op.Opcode is IoUringOp.OpenAt or IoUringOp.Accept or IoUringOp.Socket or IoUringOp.Splice or IoUringOp.Tee ? op.Target : -1;
        submission->Directory = named ? op.Directory : UringOp.NoDirectory;
        submission->Buffer = op.Buffer;
        submission->Origin = UringSubmission.ByHook;
        submission->Chain = chain->Id;
        if (vectors != null) return JudgeVectors(chain, link.Policies, given, op, vectors);
        var path = named ? (byte*)entry->Address : null;
        var result = Judge(chain, link.Policies, given, op.Opcode, path, null);
        return result < 0 || !two ? result : Judge(chain, link.Policies, given, op.Opcode, (byte*)entry->Offset, path);
    }

    // Each piece must be allowed; the length is that of all.
    private int JudgeVectors(Chain* chain, PolicyLink[] own, PolicyLink? given, in UringOp op, UringVector* vectors)
    {
        uint total = 0;
        for (uint i = 0; i < op.Length; i++) total += vectors[i].Length;
        _submission->Length = total;
        for (uint i = 0; i < op.Length; i++)
        {
            _submission->Buffer = vectors[i].Buffer;
            var result = Judge(chain, own, given, op.Opcode, null, null);
            if (result < 0) return result;
        }
        // Where the sender's address is put is a piece of a buffer, too.
        if (op.Opcode != IoUringOp.RecvMsg || op.Path == 0) return 0;
        _submission->Buffer = op.Buffer;
        return Judge(chain, own, given, op.Opcode, null, null);
    }

    /// <summary>Judges an operation of the host, by the ring's policies and the one it was given with: 0 or -errno.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int Judge(Sqe* entry, PolicyLink? given)
    {
        if (_policies.Length == 0 && given == null) return 0;
        var submission = _submission;
        submission->Opcode = (uint)entry->Opcode;
        submission->Flags = entry->OpFlags;
        submission->File = entry->Fd;
        submission->Length = entry->Length;
        submission->Offset = entry->Offset;
        submission->UserData = 0;
        submission->Target = -1;
        submission->Directory = UringOp.NoDirectory;
        submission->Buffer = entry->BufferIndex;
        submission->Origin = UringSubmission.ByHost;
        submission->Chain = 0;
        byte* path = null, second = null;
        switch (entry->Opcode)
        {
            case IoUringOp.OpenAt2:
                var how = (IoUring.OpenHow*)entry->Offset;
                submission->Flags = (uint)how->Flags;
                submission->Length = (uint)how->Mode;
                submission->Offset = 0;
                path = (byte*)entry->Address;
                break;
            case IoUringOp.StatX:
                // addr2 is an address, and no business of a policy.
                submission->Offset = 0;
                path = (byte*)entry->Address;
                break;
            case IoUringOp.OpenAt or IoUringOp.UnlinkAt or IoUringOp.MkdirAt:
                path = (byte*)entry->Address;
                break;
            case IoUringOp.RenameAt or IoUringOp.LinkAt:
                submission->Offset = 0;
                path = (byte*)entry->Address;
                second = (byte*)entry->Offset;
                break;
            case IoUringOp.SymlinkAt:
                submission->Offset = 0;
                path = (byte*)entry->Offset;
                break;
            case IoUringOp.SetXAttr or IoUringOp.GetXAttr:
                submission->Offset = 0;
                path = (byte*)entry->Address3;
                break;
            case IoUringOp.Timeout:
                var time = (IoUring.Timespec*)entry->Address;
                submission->Offset = time == null ? 0 : (ulong)time->Seconds * 1_000_000_000 + (ulong)time->Nanoseconds;
                break;
            case IoUringOp.Read or IoUringOp.Write or IoUringOp.ReadV or IoUringOp.WriteV or IoUringOp.ReadFixed or IoUringOp.WriteFixed
                or IoUringOp.ReadVFixed or IoUringOp.WriteVFixed or IoUringOp.ReadMultishot or IoUringOp.SyncFileRange or IoUringOp.FAllocate
                or IoUringOp.FAdvise or IoUringOp.FTruncate or IoUringOp.Splice or IoUringOp.Tee:
                break;
            default:
                submission->Offset = 0;
                break;
        }
        if (path != null)
        {
            submission->Directory = (uint)entry->Fd;
            submission->File = -1;
        }
        var result = Judge(null, [], given, entry->Opcode, path, null);
        return result < 0 || second == null ? result : Judge(null, [], given, entry->Opcode, second, path);
    }

    private int Judge(Chain* chain, PolicyLink[] own, PolicyLink? given, IoUringOp opcode, byte* path, byte* first)
    {
        // Whoever gave it wants it asked: without it nothing goes out.
        if (given is { Current: null }) return -Errno.Canceled;
        // A second path may be in another directory, which is in the entry's length.
        if (first != null) _submission->Directory = _submission->Length;
        if (!ShowPath(path)) return -Errno.NameTooLong;
        var state = _policyState;
        var outer = _state;
        // The outer stay, of the batch of completions or this one, keeps maps and programs.
        var enters = !outer->Activity.IsActive;
        if (enters) outer->Enter();
        state->Slot = outer->Slot;
        state->RandomState = outer->RandomState;
        var result = Judge(chain, _policies, opcode, state);
        if (result == 0) result = Judge(chain, own, opcode, state);
        if (result == 0 && given != null) result = Judge(chain, given, opcode, state);
        outer->RandomState = state->RandomState;
        if (enters) outer->Leave();
        return result;
    }

    private int Judge(Chain* chain, PolicyLink[] policies, IoUringOp opcode, ExecutionState* state)
    {
        foreach (var policy in policies)
        {
            if (Judge(chain, policy, opcode, state) is var verdict and < 0) return verdict;
        }
        return 0;
    }

    private int Judge(Chain* chain, PolicyLink policy, IoUringOp opcode, ExecutionState* state)
    {
        if (!policy.Judges(opcode)) return 0;
        var program = policy.Current!;
        var verdict = program.Run(_submission, state);
        policy.Count(refused: verdict < 0);
        _recorder?.Judged(chain, program.TraceProgram, _submission, verdict, _state->Site);
        return verdict;
    }

    // Copies a path into what policies are shown; false when it is longer than that. What an earlier one left behind it is cleared.
    private bool ShowPath(byte* path)
    {
        var text = new Span<byte>(_submission->Path, Limits.PathBytes);
        var before = (int)_submission->PathLength;
        var length = 0;
        if (path != null)
        {
            while (length < Limits.PathBytes && path[length] != 0) length++;
            if (length == Limits.PathBytes) return false;
            new ReadOnlySpan<byte>(path, length).CopyTo(text);
        }
        if (before > length) text[length..before].Clear();
        _submission->PathLength = (uint)length;
        return true;
    }
}
