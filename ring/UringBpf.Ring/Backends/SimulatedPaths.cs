using Microsoft.Win32.SafeHandles;

namespace UringBpf.Ring;

/// <summary>The files of a simulation by path, as Linux would find them; with the host's disk behind them where that is wanted.</summary>
internal sealed class SimulatedPaths
{
    /// <summary>RESOLVE_* of openat2(2) that are obeyed: nothing outside the directory; no symbolic links.</summary>
    public const ulong Beneath = 0x08, NoLinks = 0x04;

    private const int CurrentDirectory = -100, CrossesDevice = 18, TooManyLinks = 40, NotEmpty = 39;

    private readonly bool _readsHost;
    private readonly Dictionary<string, SimulatedNode> _nodes = [];
    // Names of the host's files that the simulation has removed.
    private readonly HashSet<string> _removed = [];
    // One node for a file of the host, by whatever name or descriptor it is reached.
    private readonly Dictionary<(ulong, ulong), SimulatedFile> _imported = [];
    private readonly Dictionary<SimulatedNode, long> _numbers = [];
    private readonly Dictionary<int, string> _directories = [];
    private readonly Lock _gate = new();
    private int _nextDirectory = 1;

    public SimulatedPaths(SimulationOptions options)
    {
        _readsHost = options.ReadsHostFiles;
        _nodes["/"] = new SimulatedDirectory();
        // In the order of their names: a dictionary's own order is no order.
        foreach (var (path, content) in options.Files.OrderBy(file => file.Key, StringComparer.Ordinal))
        {
            var full = Path.GetFullPath(path);
            AddParents(full);
            _nodes[full] = new SimulatedFile(content.Span);
        }
    }

    /// <summary>A number for a directory that paths lead from; any thread.</summary>
    public int OpenDirectory(string path)
    {
        lock (_gate)
        {
            var full = Path.GetFullPath(path);
            var node = Look(full);
            if (node is not SimulatedDirectory) return node == null ? -Errno.NoEnt : -Errno.NotDir;
            _directories.Add(_nextDirectory, full);
            return _nextDirectory++;
        }
    }

    public void CloseDirectory(int directory)
    {
        lock (_gate) _directories.Remove(directory);
    }

    /// <summary>The number of a file, as statx gives it: the order in which files were first asked for.</summary>
    public long NumberOf(SimulatedNode node)
    {
        if (_numbers.TryGetValue(node, out var number)) return number;
        return _numbers[node] = _numbers.Count + 1;
    }

    /// <summary>Finds, or makes, what an open names. 0 or -errno.</summary>
    public int Open(int directory, string path, uint flags, ulong resolve, out SimulatedNode? node)
    {
        const uint create = 0x40, exclusive = 0x80, mustBeDirectory = 0x10000;
        lock (_gate)
        {
            var result = Resolve(directory, path, resolve, out var full, out node);
            if (result == -Errno.NoEnt && full != null && (flags & create) != 0)
            {
                if (Look(Path.GetDirectoryName(full)!) is not SimulatedDirectory) return -Errno.NoEnt;
                _nodes[full] = node = new SimulatedFile([]);
                return 0;
            }
            if (result < 0) return result;
            if ((flags & (create | exclusive)) == (create | exclusive)) return -Errno.Exist;
            if ((flags & mustBeDirectory) != 0 && node is not SimulatedDirectory) return -Errno.NotDir;
            return (flags & create) != 0 && node is SimulatedDirectory ? -Errno.IsDir : 0;
        }
    }

    public int Find(int directory, string path, ulong resolve, out SimulatedNode? node)
    {
        lock (_gate) return Resolve(directory, path, resolve, out _, out node);
    }

    public int Unlink(int directory, string path, bool removesDirectory)
    {
        lock (_gate)
        {
            var result = Resolve(directory, path, 0, out var full, out var node);
            if (result < 0) return result;
            if (node is SimulatedDirectory != removesDirectory) return removesDirectory ? -Errno.NotDir : -Errno.IsDir;
            if (removesDirectory && (full == "/" || _nodes.Keys.Any(name => name.StartsWith(full + "/", StringComparison.Ordinal)) || HostHasEntries(full!))) return -NotEmpty;
            Remove(full!);
            return 0;
        }
    }

    public int MakeDirectory(int directory, string path)
    {
        lock (_gate)
        {
            var result = Resolve(directory, path, 0, out var full, out _);
            if (result == 0) return -Errno.Exist;
            if (full == null || result != -Errno.NoEnt) return result;
            if (Look(Path.GetDirectoryName(full)!) is not SimulatedDirectory) return -Errno.NoEnt;
            _nodes[full] = new SimulatedDirectory();
            return 0;
        }
    }

    /// <summary>Files only: a directory of the host can't be moved in memory.</summary>
    public int Rename(int directory, string path, int newDirectory, string newPath, uint flags)
    {
        const uint noReplace = 1, exchange = 2;
        lock (_gate)
        {
            if (flags is not (0 or noReplace or exchange)) return -Errno.Inval;
            var result = Resolve(directory, path, 0, out var from, out var node);
            if (result < 0) return result;
            if (node is not SimulatedFile) return -Errno.OpNotSupp;
            result = Resolve(newDirectory, newPath, 0, out var to, out var replaced);
            if (to == null || result is < 0 and not -Errno.NoEnt) return result;
            if (replaced != null && flags == noReplace) return -Errno.Exist;
            if (replaced == null && flags == exchange) return -Errno.NoEnt;
            if (replaced is SimulatedDirectory) return flags == exchange ? -Errno.OpNotSupp : -Errno.IsDir;
            if (Look(Path.GetDirectoryName(to)!) is not SimulatedDirectory) return -Errno.NoEnt;
            // Two names of one file: nothing happens.
            if (replaced == node) return 0;
            Remove(from!);
            _nodes[to] = node;
            if (flags == exchange) _nodes[from!] = replaced!;
            return 0;
        }
    }

    /// <summary>Another name for a file.</summary>
    public int Link(int directory, string path, int newDirectory, string newPath)
    {
        lock (_gate)
        {
            var result = Resolve(directory, path, 0, out _, out var node);
            if (result < 0) return result;
            if (node is not SimulatedFile) return -Errno.Perm;
            result = Resolve(newDirectory, newPath, 0, out var to, out _);
            if (result == 0) return -Errno.Exist;
            if (to == null || result != -Errno.NoEnt) return result;
            if (Look(Path.GetDirectoryName(to)!) is not SimulatedDirectory) return -Errno.NoEnt;
            _nodes[to] = node;
            return 0;
        }
    }

    /// <summary>The file behind a descriptor of the host, read into memory when it is first met; null unless it is a regular file.</summary>
    public SimulatedFile? Import(int fd, out bool reads, out bool writes)
    {
        (reads, writes) = (true, true);
        using var handle = new SafeFileHandle(fd, ownsHandle: false);
        lock (_gate)
        {
            if (!OperatingSystem.IsLinux()) return Import(handle, (0, (ulong)fd));
            if (!PosixCalls.Identify(fd, out var device, out var number, out var access)) return null;
            (reads, writes) = (access != 1, access != 0);
            return Import(handle, (device, number));
        }
    }

    private SimulatedFile? Import(SafeFileHandle handle, (ulong, ulong) identity)
    {
        if (_imported.TryGetValue(identity, out var known)) return known;
        try
        {
            var content = new byte[RandomAccess.GetLength(handle)];
            var length = 0;
            for (int count; length < content.Length && (count = RandomAccess.Read(handle, content.AsSpan(length), length)) > 0;) length += count;
            return _imported[identity] = new SimulatedFile(content.AsSpan(0, length));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return null;
        }
    }

    // The full path and what is there. NoEnt with a path: the name is free.
    private int Resolve(int directory, string path, ulong resolve, out string? full, out SimulatedNode? node)
    {
        full = null;
        node = null;
        if (path.Length == 0) return -Errno.NoEnt;
        var absolute = path[0] == '/';
        if (absolute && (resolve & Beneath) != 0) return -CrossesDevice;
        var at = absolute ? "/" : directory == CurrentDirectory ? Environment.CurrentDirectory : null;
        if (at == null && !_directories.TryGetValue(directory, out at)) return -Errno.BadF;
        var root = at;
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i] == ".") continue;
            if (parts[i] == "..")
            {
                if ((resolve & Beneath) != 0 && at == root) return -CrossesDevice;
                at = Path.GetDirectoryName(at) ?? "/";
                continue;
            }
            at = at == "/" ? "/" + parts[i] : at + "/" + parts[i];
            // A link of the host's might lead anywhere.
            if ((resolve & (Beneath | NoLinks)) != 0 && _readsHost && !_nodes.ContainsKey(at) && IsLink(at)) return -TooManyLinks;
            if (i == parts.Length - 1) break;
            var above = Look(at);
            if (above is not SimulatedDirectory) return above == null ? -Errno.NoEnt : -Errno.NotDir;
        }
        full = at;
        node = Look(at);
        if (node is SimulatedFile && path[^1] == '/') return -Errno.NotDir;
        return node == null ? -Errno.NoEnt : 0;
    }

    private SimulatedNode? Look(string full)
    {
        if (_nodes.TryGetValue(full, out var node)) return node;
        if (!_readsHost || _removed.Contains(full)) return null;
        if (Directory.Exists(full)) return _nodes[full] = new SimulatedDirectory();
        if (!File.Exists(full)) return null;
        try
        {
            using var handle = File.OpenHandle(full, share: FileShare.ReadWrite | FileShare.Delete);
            ulong device = 0, number = (uint)_imported.Count | 1UL << 63;
            if (OperatingSystem.IsLinux() && !PosixCalls.Identify((int)handle.DangerousGetHandle(), out device, out number, out _)) return null;
            var file = Import(handle, (device, number));
            if (file != null) _nodes[full] = file;
            return file;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void Remove(string full)
    {
        _nodes.Remove(full);
        _removed.Add(full);
    }

    private void AddParents(string full)
    {
        for (var parent = Path.GetDirectoryName(full); parent != null; parent = Path.GetDirectoryName(parent)) _nodes.TryAdd(parent, new SimulatedDirectory());
    }

    private bool HostHasEntries(string full) =>
        _readsHost && Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any(entry => !_removed.Contains(entry));

    private static bool IsLink(string full) => new FileInfo(full).LinkTarget != null;
}
