using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Ring;

// Completion hooks: attaching with what is granted, detaching.
public sealed unsafe partial class Ring
{
    /// <summary>Attaches a completion hook. Chains are started on the link.</summary>
    /// <param name="program">A program of type completion, interpreted or compiled; kept alive by the link. The caller disposes it after the link.</param>
    /// <param name="grants">What the hook may touch.</param>
    /// <param name="limits">What each chain may use; null for the defaults.</param>
    /// <param name="emissionCapacity">Emissions that wait for the host at once; more are lost and counted. Default 4096.</param>
    /// <exception cref="BpfException">UB4502 when the program is of another type, or writes to buffers that are granted read-only;
    /// UB4503 when the ring is shut down; UB4511 when a grant or limit is out of range; UB4512 when a directory can't be opened;
    /// UB4513 when the file table is full.</exception>
    public HookLink Attach(BpfProgram program, Grants grants, ChainLimits? limits = null, int emissionCapacity = 4096)
    {
        limits ??= new ChainLimits();
        limits.Validate();
        if (emissionCapacity is < 1 or > 1 << 24) throw new BpfException("UB4511", $"emission capacity {emissionCapacity} is not between 1 and {1 << 24}.");
        if (grants.Files.Length + limits.OwnFiles > short.MaxValue) throw new BpfException("UB4511", $"{grants.Files.Length} files and {limits.OwnFiles} own ones: a chain has at most {short.MaxValue} file slots.");
        var table = new GrantTable(grants, _backend);
        HookLink? link = null;
        try
        {
            CheckProgram(program, table);
            foreach (var named in table.Programs) CheckProgram(named, table);
            if (table.Programs.Length > ushort.MaxValue) throw new BpfException("UB4511", $"{table.Programs.Length} programs are granted: at most {ushort.MaxValue}.");
            if (grants.ReadOnlyBuffers && table.Programs.Prepend(program).FirstOrDefault(one => one.Verified.WritesBuffers) is { } writer)
                throw new BpfException("UB4502", $"{writer.Name} writes to its buffers, which are granted read-only.");
            DoOnOwner(() =>
            {
                if (_stopping) throw new BpfException("UB4503", "the ring is shut down.");
                if (grants.ProvidedBuffers != 0) Provide(grants, table);
                try
                {
                    RegisterFiles(grants, table);
                }
                catch
                {
                    FreeProvided(table);
                    throw;
                }
                try
                {
                    link = new HookLink(this, program, table, limits, emissionCapacity);
                }
                catch (ObjectDisposedException)
                {
                    for (var i = 0; i < table.FileCount; i++) ReleaseFile(table.Files[i]);
                    FreeProvided(table);
                    throw;
                }
                _links.Add(link);
            });
            RingEvents.Log.HookAttached(Number, program.Name);
            return link!;
        }
        catch
        {
            if (link == null) table.Dispose();
            throw;
        }
    }

    internal void CheckProgram(BpfProgram program, GrantTable grants)
    {
        if (program.Verified.Type.Name != ProgramTypes.Completion.Name)
            throw new BpfException("UB4502", $"{program.Name} is of type {program.Verified.Type.Name}: completion hooks are of type {ProgramTypes.Completion.Name} (SEC(\"uring/complete\")).");
        if (program.Verified.WritesBuffers)
        {
            for (var i = 0; i < grants.BufferCount; i++)
            {
                if (!grants.Buffers[i].Writable) throw new BpfException("UB4502", $"{program.Name} writes to its buffers, and buffer {i} is granted read-only.");
            }
        }
    }

    private void Provide(Grants grants, GrantTable table)
    {
        if (grants.ProvidedBuffers is < 0 or > 32768 || (grants.ProvidedBuffers & (grants.ProvidedBuffers - 1)) != 0 || grants.ProvidedBufferBytes < 1 || (long)grants.ProvidedBuffers * grants.ProvidedBufferBytes > 1L << 31)
            throw new BpfException("UB4511", $"{grants.ProvidedBuffers} provided buffers of {grants.ProvidedBufferBytes} bytes: their number is a power of two up to 32,768, and all are at most 2 GiB.");
        if (grants.ReadOnlyBuffers) throw new BpfException("UB4511", "provided buffers can't be granted read-only.");
        table.Provided = Register(grants.ProvidedBuffers, grants.ProvidedBufferBytes, incremental: false);
        table.Holders = new ProvidedHolder[grants.ProvidedBuffers];
        table.Released = new int[grants.ProvidedBuffers];
    }

    private void FreeProvided(GrantTable table)
    {
        if (table.Provided is not { } provided) return;
        Unregister(provided);
        provided.Free();
        table.Provided = null;
    }

    private void RegisterFiles(Grants grants, GrantTable table)
    {
        for (var i = 0; i < grants.Files.Length; i++)
        {
            var result = -Errno.MFile;
            try
            {
                if (_freeFileSlots.TryPop(out var slot))
                {
                    table.Files[i] = slot;
                    result = SetFile(slot, grants.Files[i]);
                }
                if (result < 0) throw new BpfException("UB4513", $"granted file {i} can't be put into the ring's file table: {Errno.Name(-result)}.");
            }
            catch
            {
                for (var j = 0; j < i; j++) ReleaseFile(table.Files[j]);
                throw;
            }
        }
    }

    private int SetFile(int slot, SafeFileHandle file)
    {
        var set = false;
        var added = false;
        try
        {
            file.DangerousAddRef(ref added);
            var result = _backend.SetFile((uint)slot, (int)file.DangerousGetHandle());
            set = result >= 0;
            return result;
        }
        finally
        {
            if (added && set && !_backend.CopiesDescriptors) _named.Add(slot, file);
            else if (added) file.DangerousRelease();
            if (!set) _freeFileSlots.Push(slot);
        }
    }

    // Handles that are kept open while a file slot names them.
    private readonly Dictionary<int, SafeFileHandle> _named = [];

    private void ReleaseFile(int slot)
    {
        _backend.SetFile((uint)slot, -1);
        if (_named.Remove(slot, out var file)) file.DangerousRelease();
        _freeFileSlots.Push(slot);
    }

    internal Task DetachAsync(HookLink link)
    {
        var freed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(new DetachCommand(link, freed));
        return freed.Task;
    }

    internal void Detach(HookLink link, TaskCompletionSource freed)
    {
        if (!_links.Contains(link))
        {
            freed.TrySetResult();
            return;
        }
        _detaching[link] = freed;
        link.Detaching = true;
        RefuseWaiting(one => one.Link == link);
        CancelChains(link);
        FinishDetached();
    }

    private readonly Dictionary<HookLink, TaskCompletionSource> _detaching = [];

    private void FinishDetached()
    {
        foreach (var link in _links.Where(link => link is { Detaching: true, LiveChains: 0 }).ToArray())
        {
            _links.Remove(link);
            for (var i = 0; i < link.Grants.FileCount; i++) ReleaseFile(link.Grants.Files[i]);
            FreeProvided(link.Grants);
            link.Free();
            if (_detaching.Remove(link, out var freed)) freed.SetResult();
            RingEvents.Log.HookDetached(Number, link.Name);
        }
    }
}

/// <summary>Detaches a hook; done at once when the ring is shut down, which has freed it.</summary>
internal sealed class DetachCommand(HookLink link, TaskCompletionSource freed) : IRingCommand
{
    public void Run(Ring ring)
    {
        ring.Detach(link, freed);
        ring.Settled();
    }

    public void Refuse(Ring ring, int result) => freed.TrySetResult();
}
